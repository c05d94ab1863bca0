# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Programs are kept for the processor that they were compiled for."""

import os
import pathlib
import subprocess
import sys
import time

import jax
import pytest
import zstandard

from launch.hosts import compile_cache

ROOT = pathlib.Path(__file__).parents[3]
NAMES = (
  "jax_compilation_cache_dir",
  "jax_enable_compilation_cache",
  "jax_persistent_cache_min_compile_time_secs",
)
INTEL = """processor : 0
vendor_id : GenuineIntel
model : 143
model name : Xeon
cpu MHz : 2100.000
flags : fpu avx2 avx512f amx_bf16

processor : 1
vendor_id : GenuineIntel
"""


@pytest.fixture
def unset(monkeypatch, tmp_path):
  """JAX as of a user who set nothing, with a cache folder of the test."""
  before = {name: getattr(jax.config, name) for name in NAMES}
  for name in NAMES:
    monkeypatch.delenv(name.upper(), raising=False)
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
  jax.config.update("jax_compilation_cache_dir", None)
  jax.config.update("jax_enable_compilation_cache", True)
  yield tmp_path / "cache" / "bertjax" / "xla"
  for name, value in before.items():
    jax.config.update(name, value)


def test_programs_are_kept_in_the_users_cache_folder(unset, capsys):
  compile_cache.keep(tells="new")
  folder = unset / compile_cache.key()
  assert compile_cache.setting("jax_compilation_cache_dir") == str(folder)
  assert folder.is_dir()
  assert folder.stat().st_mode & 0o077 == 0
  told = capsys.readouterr().err
  assert told.count("\n") == 1
  assert str(folder) in told
  assert "JAX_COMPILATION_CACHE_DIR=DIR" in told


@pytest.mark.parametrize(("tells", "lines"), [("new", 0), ("always", 1)])
def test_it_is_told_as_asked(unset, capsys, tells, lines):
  (unset / compile_cache.key()).mkdir(parents=True)
  compile_cache.keep(tells=tells)
  assert capsys.readouterr().err.count("\n") == lines


def test_a_relative_cache_home_counts_as_none(unset, monkeypatch):
  del unset
  monkeypatch.setenv("XDG_CACHE_HOME", "cache")
  folder = compile_cache.default_folder()
  assert folder.is_relative_to(pathlib.Path.home() / ".cache" / "bertjax")


def test_jaxs_own_variables_count(unset, tmp_path, capsys):
  named = str(tmp_path / "named")
  jax.config.update("jax_compilation_cache_dir", named)
  compile_cache.keep()
  assert compile_cache.setting("jax_compilation_cache_dir") == named
  jax.config.update("jax_compilation_cache_dir", None)
  jax.config.update("jax_enable_compilation_cache", False)
  compile_cache.keep()
  assert compile_cache.setting("jax_compilation_cache_dir") is None
  assert not unset.exists()
  assert not capsys.readouterr().err


def test_without_a_folder_to_write_a_run_goes_on(unset, caplog):
  unset.parent.parent.write_text("a file")
  compile_cache.keep()
  assert compile_cache.setting("jax_compilation_cache_dir") is None
  (record,) = caplog.records
  assert record.getMessage().startswith("compiled programs are not kept: ")
  assert "\n" not in record.getMessage()


def test_a_named_folder_that_cannot_be_written_is_a_line(unset, caplog):
  unset.parent.parent.write_text("a file")
  jax.config.update("jax_compilation_cache_dir", str(unset))
  compile_cache.keep()
  assert not compile_cache.setting("jax_enable_compilation_cache")
  (record,) = caplog.records
  assert f"JAX_COMPILATION_CACHE_DIR={unset}" in record.getMessage()
  assert "are not kept; name a folder" in record.getMessage()


def test_a_folder_that_is_read_only_is_read(unset, caplog, monkeypatch):
  unset.mkdir(parents=True)
  jax.config.update("jax_compilation_cache_dir", str(unset))

  def refuse(folder):
    raise PermissionError(13, "Permission denied", str(folder))

  monkeypatch.setattr(compile_cache, "make_writable", refuse)
  compile_cache.keep()
  assert compile_cache.setting("jax_enable_compilation_cache")
  # Or JAX would warn of each program that it cannot write.
  assert compile_cache.setting(
    "jax_persistent_cache_min_compile_time_secs"
  ) == float("inf")
  assert "(Permission denied)" in caplog.text


def test_the_key_has_what_a_program_depends_on(tmp_path):
  def key(text, **variables):
    path = tmp_path / "cpuinfo"
    path.write_text(text)
    return compile_cache.key(path, variables)

  one = key(INTEL)
  assert one.startswith(f"jax-{jax.__version__}_jaxlib-")
  assert key(INTEL.replace("2100", "3500")) == one
  assert key(INTEL.replace("avx2 avx512f", "avx512f avx2")) == one
  others = {
    key(INTEL.replace(" amx_bf16", "")),
    key(INTEL.replace("143", "85")),
    key(INTEL, PJRT_NPROC="1"),
    compile_cache.key(tmp_path / "absent", {}),
  }
  assert len({one, *others}) == 5


def test_what_was_used_longest_ago_goes(tmp_path):
  for age, name in enumerate(("new", "middle", "old")):
    path = tmp_path / "some_key" / f"{name}-cache"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"x" * 100)
    os.utime(path, (1e9 - age, 1e9 - age))
  compile_cache.prune(tmp_path, largest=300)
  assert len([*tmp_path.rglob("*-cache")]) == 3
  compile_cache.prune(tmp_path, largest=200)
  left = {path.name for path in tmp_path.rglob("*-cache")}
  assert left == {"new-cache", "middle-cache"}


def test_an_entry_that_a_kill_has_cut_is_removed(tmp_path):
  whole = zstandard.ZstdCompressor().compress(os.urandom(5000))
  contents = {
    "whole": whole,
    "cut": whole[:-9],
    "empty": b"",
    "bad": b"no zstd",
  }
  long_ago = time.time() - 60
  for name, data in contents.items():
    (tmp_path / f"{name}-cache").write_bytes(data)
    os.utime(tmp_path / f"{name}-cache", (long_ago, long_ago))
  # Another process may be writing it.
  (tmp_path / "now-cache").write_bytes(whole[:-9])
  compile_cache.remove_cut(tmp_path)
  left = {path.name for path in tmp_path.glob("*-cache")}
  assert left == {"whole-cache", "now-cache"}


_CHILD = """
import jax, jax.monitoring
from launch.hosts import compile_cache
compile_cache.keep()
hits = []
jax.monitoring.register_event_listener(lambda name, **_: hits.append(name))
for _ in range(2):
  jax.jit(lambda x: x * 2 + 1)(1.0)
  jax.clear_caches()
print(hits.count("/jax/compilation_cache/cache_hits"))
"""


def test_jax_loads_what_it_kept(tmp_path):
  environment = {
    name: value for name, value in os.environ.items() if name[:4] != "JAX_"
  }
  done = subprocess.run(
    [sys.executable, "-c", _CHILD],
    cwd=ROOT,
    env={
      **environment,
      "JAX_PLATFORMS": "cpu",
      "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
      "XDG_CACHE_HOME": str(tmp_path),
    },
    capture_output=True,
    text=True,
    check=True,
  )
  assert int(done.stdout) > 0
  assert [*tmp_path.glob("bertjax/xla/*/*-cache")]
  assert done.stderr.count("\n") == 1, done.stderr  # and no warning of XLA's
