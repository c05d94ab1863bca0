# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What `pip install` gets: every file of the four packages, and one command."""

import os
import pathlib
import shutil
import subprocess
import sys
import zipfile

import pytest

import bertjax

pytestmark = pytest.mark.full
ROOT = pathlib.Path(__file__).parents[1]
ROOMS = ("bertjax", "data_pipelines", "configs", "launch")
TIMEOUT = 600


def pip(*words):
  subprocess.run(
    [sys.executable, "-m", "pip", *map(str, words)], check=True, timeout=TIMEOUT
  )


@pytest.fixture(scope="module", name="wheel")
def _wheel(tmp_path_factory):
  folder = tmp_path_factory.mktemp("wheel")
  sources = folder / "sources"
  for room in ROOMS:
    shutil.copytree(
      ROOT / room, sources / room, ignore=shutil.ignore_patterns("__pycache__")
    )
  for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
    shutil.copy(ROOT / name, sources)
  pip("wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder, sources)
  (made,) = folder.glob("*.whl")
  return made


@pytest.fixture(scope="module", name="installed")
def _installed(wheel):
  """Folder of the installed wheel, beside the packages that it needs."""
  target = wheel.parent / "installed"
  pip("install", "-q", "--no-deps", "--target", target, wheel)
  return target


def test_the_wheel_has_every_file_of_the_packages_and_no_other(wheel):
  names = zipfile.ZipFile(wheel).namelist()
  packed = {name for name in names if ".dist-info/" not in name}
  assert packed == {
    str(path.relative_to(ROOT))
    for room in ROOMS
    for path in (ROOT / room).rglob("*")
    if path.is_file() and "__pycache__" not in path.parts
  }
  for room in ROOMS:
    assert f"{room}/py.typed" in packed


def test_the_wheel_has_the_version_of_the_package_and_one_command(wheel):
  with zipfile.ZipFile(wheel) as files:
    read = {
      pathlib.Path(name).name: files.read(name).decode()
      for name in files.namelist()
      if ".dist-info/" in name
    }
  assert f"\nVersion: {bertjax.__version__}\n" in read["METADATA"]
  assert read["entry_points.txt"].split() == [
    *("[console_scripts]", "bertjax", "=", "bertjax.__main__:run_script")
  ]


def test_the_command_prepares_and_trains_beside_a_users_own_packages(
  installed, tmp_path
):
  for name in ("configs", "launch", "mine"):
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("raise ImportError('mine')")
  shutil.copy(installed / "configs" / "pretrain.py", tmp_path / "mine" / "a.py")

  def run(*words):
    return subprocess.run(
      [sys.executable, installed / "bin" / "bertjax", *words],
      cwd=tmp_path,
      env={
        **os.environ,
        "PYTHONPATH": str(installed),
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "",
      },
      capture_output=True,
      text=True,
      timeout=TIMEOUT,
      check=False,
    )

  got = run("--version")
  assert got.stdout == f"bertjax {bertjax.__version__}\n", got.stderr
  corpus = ROOT / "tests" / "data" / "books.jsonl"
  got = run(
    "prepare", f"--corpus={corpus}", "--output=store", "--vocab_size=1000"
  )
  assert got.returncode == 0, got.stderr
  assert (tmp_path / "store" / "report.html").is_file(), "templates are there"
  # A shipped config by name, and a file of the user's own by its path.
  for number, config in enumerate(("pretrain", "mine/a.py")):
    got = run(
      "pretrain",
      f"--config={config}:size=tiny,recipe=smoke",
      *("--config.data.store=store", f"--workdir=run{number}"),
      *("--config.steps=2", "--config.optimizer.warmup_steps=1"),
    )
    assert got.returncode == 0, got.stderr
    assert (tmp_path / f"run{number}" / "bundle").is_dir()
