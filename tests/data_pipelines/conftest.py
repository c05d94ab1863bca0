# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A data set that TensorFlow Datasets has prepared, and lengths to pack."""

import importlib
import sys

import pytest

from tests.testing import tiny_notes
from tests.testing.pack_lengths import LENGTHS


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
  """A data folder with tiny_notes/en, and the class that made it."""
  tfds = pytest.importorskip("tensorflow_datasets")
  pytest.importorskip("importlib_resources")
  home = tmp_path_factory.mktemp("home")
  package = home / "tiny_notes_package"
  package.mkdir()
  (package / "__init__.py").touch()
  (package / "builder.py").write_text(tiny_notes.BUILDER, encoding="utf-8")
  sys.path.insert(0, str(home))
  try:
    module = importlib.import_module("tiny_notes_package.builder")
    tfds.disable_progress_bar()
    builder = tiny_notes.make(module.TinyNotes, home / "data", "array_record")
    assert builder.info.splits["train"].num_shards == 3
    yield home / "data", module.TinyNotes
  finally:
    sys.path.remove(str(home))


@pytest.fixture(params=LENGTHS)
def lengths(request):
  return LENGTHS[request.param]
