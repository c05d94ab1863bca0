# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Laws of the hash of the code that encodes documents."""

import inspect
import pathlib
import shutil
import subprocess
import sys

import pytest

import data_pipelines
from data_pipelines.prepare import code_versions
from data_pipelines.tokenizers import (
  albert,
  byte_bpe,
  metaspace,
  sentencepiece_model,
  wordpiece,
)
from data_pipelines.tokenizers.tokenizer import Tokenizer

PACKAGE = pathlib.Path(data_pipelines.__file__).parent
_IMPORTED = """
import sys
import data_pipelines.prepare.encode_pass
print(*(
  module.__file__ for name, module in sorted(sys.modules.items())
  if name.startswith("data_pipelines.")
))
"""


@pytest.fixture
def copy(tmp_path):
  folder = tmp_path / "data_pipelines"
  shutil.copytree(PACKAGE, folder, ignore=shutil.ignore_patterns("__pycache__"))
  assert code_versions.hash_code(folder) == code_versions.hash_code(PACKAGE)
  return folder


@pytest.mark.parametrize(
  "name",
  [
    "corpora/sentences.py",
    "prepare/encoding.py",
    "prepare/spool.py",
    "store/layout.py",
    "tokenizers/tokenizer.py",
  ],
)
def test_a_change_of_what_encodes_changes_the_hash(name, copy):
  with (copy / name).open("a") as file:
    file.write("# changed\n")
  assert code_versions.hash_code(copy) != code_versions.hash_code(PACKAGE)


@pytest.mark.parametrize(
  "name",
  [
    "host_rng.py",
    "prepare/deduplication.py",
    "prepare/write_pass.py",
    "rows/lanes.py",
    "store/store_writer.py",
    "tokenizers/wordpiece_training.py",
  ],
)
def test_a_change_of_other_code_does_not(name, copy):
  with (copy / name).open("a") as file:
    file.write("# changed\n")
  assert code_versions.hash_code(copy) == code_versions.hash_code(PACKAGE)


def test_every_module_that_the_encode_pass_imports_is_hashed():
  done = subprocess.run(
    [sys.executable, "-c", _IMPORTED],
    check=True,
    capture_output=True,
    text=True,
  )
  imported = {
    pathlib.Path(path)
    for path in done.stdout.split()
    if not path.endswith("__init__.py")
  }
  assert len(imported) > 15
  assert imported <= set(code_versions.encoding_modules(PACKAGE))


def subclasses(kind):
  """Yield a class and all that come from it, but for those of tests."""
  yield kind
  for each in kind.__subclasses__():
    if not each.__module__.startswith("tests."):
      yield from subclasses(each)


def test_every_tokenizer_is_hashed():
  hashed = code_versions.encoding_modules(PACKAGE)
  kinds = [
    kind
    for module in (
      *(wordpiece, sentencepiece_model, byte_bpe, albert),
      metaspace,
    )
    for _, kind in inspect.getmembers(module, inspect.isclass)
    if issubclass(kind, Tokenizer)
  ]
  assert {*subclasses(Tokenizer)} <= set(kinds)
  for kind in kinds:
    assert pathlib.Path(inspect.getfile(kind)) in hashed
