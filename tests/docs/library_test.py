# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The script of docs/library.md runs as it is printed, and learns."""

import ast
import os
import pathlib
import re
import subprocess
import sys

import bertjax
from tests.testing import compiling

ROOT = pathlib.Path(__file__).parents[2]


def script():
  text = (ROOT / "docs" / "library.md").read_text()
  (code,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
  return code


def test_the_script_of_the_library_page_learns(tmp_path):
  path = tmp_path / "train.py"
  path.write_text(script())
  got = subprocess.run(
    [sys.executable, str(path)],
    env={
      **os.environ,
      "PYTHONPATH": str(ROOT),
      "XLA_FLAGS": compiling.FLAGS,  # on one device, as a user's machine has
    },
    capture_output=True,
    text=True,
    check=False,
    timeout=300,
  )
  assert got.returncode == 0, got.stderr
  losses = [float(each) for each in re.findall(r": ([\d.]+) nats", got.stdout)]
  assert len(losses) == 5
  # Uniform guesses among 59 tokens are ln 59 = 4.08 nats.
  assert losses[0] > 4 > 3 > losses[-1], losses


def test_every_public_name_exists_and_is_used_on_the_page():
  page = (ROOT / "docs" / "library.md").read_text()
  for name in bertjax._HOMES:
    assert getattr(bertjax, name) is not None
    assert name in dir(bertjax)
  for name in re.findall(r"bertjax\.([A-Za-z_]\w*)", script()):
    assert name in bertjax._HOMES, name
  assert "bertjax.load_bundle" in page


def test_type_checkers_see_every_public_name():
  assert bertjax.__file__
  tree = ast.parse(pathlib.Path(bertjax.__file__).read_text())
  (block,) = [node for node in tree.body if isinstance(node, ast.If)]
  seen = {
    alias.asname: node.module
    for node in block.body
    if isinstance(node, ast.ImportFrom)
    for alias in node.names
  }
  assert seen == bertjax._HOMES


def test_importing_the_library_starts_no_jax():
  code = "import sys, bertjax; print('jax' in sys.modules)"
  got = subprocess.run(
    [sys.executable, "-c", code], capture_output=True, text=True, check=True
  )
  assert got.stdout.strip() == "False"
