# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Mistakes in the name, the place and the files of a TFDS data set."""

import os
import pathlib
import shutil
import sys

import pytest

from data_pipelines.corpora.corpus import Corpus
from tests.testing.tiny_notes import make, texts

pytest.importorskip("tensorflow_datasets")
pytest.importorskip("importlib_resources")


@pytest.mark.parametrize(
  ("spec", "message"),
  [
    ("nope:train", r"no data set nope in .* \(there is tiny_notes\)"),
    ("tiny_notes/fr:train", r"no configuration fr in .* \(there is en\)"),
    ("tiny_notes/en:9.0.0:train", r"no version 9.0.0 in .*there is 1.2.0\)"),
    ("tiny_notes/en:valid", r"'valid'.* splits are train \(100\), test \(7\)"),
    ("tiny_notes/en:train[400:]", r"\[400:100\].*; the splits are train"),
    ("tiny_notes/en:train[:0]", "is empty; choose"),
    (
      "tiny_notes/en:train[:10%",
      r"give tfds:NAME\[/CONFIG\]\[:VERSION\]:SPLIT",
    ),
    ("tiny_notes", r"give tfds:NAME\[/CONFIG\]\[:VERSION\]:SPLIT"),
    ("no name:train", "no data set no name in"),
  ],
)
def test_a_missing_data_set_or_split_lists_what_exists(prepared, spec, message):
  folder, _ = prepared
  with pytest.raises(ValueError, match=message) as caught:
    texts(spec, folder)
  assert "\n" not in str(caught.value)


def test_the_call_that_prepares_is_named(prepared, tmp_path):
  with pytest.raises(
    ValueError, match=r"prepare it: .*array_record.*download_and_prepare\(\)"
  ):
    texts("wikipedia/20230601.en:train", tmp_path)
  with pytest.raises(ValueError, match="gs://data is not on this machine"):
    texts("wikipedia/20230601.en:train", "gs://data")


def test_a_missing_or_wrong_feature_lists_the_features(prepared):
  folder, _ = prepared
  with pytest.raises(
    ValueError,
    match=r"no feature body \(it has .*text.*\); .*--text_field=NAME",
  ):
    texts("tiny_notes:train", folder, text_field="body")
  with pytest.raises(
    ValueError, match=r"feature id is .*int64.*, not one text"
  ):
    texts("tiny_notes:train", folder, text_field="id")


def test_files_that_lose_records_are_refused(prepared, tmp_path):
  _, kind = prepared
  make(kind, tmp_path, "parquet")
  with pytest.raises(
    ValueError,
    match=r"is prepared in parquet files.*file_format='array_record'",
  ):
    texts("tiny_notes:train", tmp_path)


def test_damaged_files_are_named(prepared, tmp_path):
  folder, _ = prepared
  shutil.copytree(folder, tmp_path / "data")
  root = pathlib.Path(tmp_path / "data/tiny_notes/en/1.2.0")
  path, other = sorted(root.glob("*train*"))[:2]
  data = path.read_bytes()
  path.write_bytes(data[: len(data) // 2])
  with pytest.raises(ValueError, match=r"array_record-00000-.*damaged"):
    texts("tiny_notes:train", tmp_path / "data")
  path.write_bytes(other.read_bytes())
  with pytest.raises(ValueError, match=r"has 3\d records, but 3\d are noted"):
    texts("tiny_notes:train", tmp_path / "data")
  flipped = bytearray(data)
  for place in range(200, 1200, 50):
    flipped[place] ^= 0xFF
  path.write_bytes(flipped)
  with pytest.raises(
    ValueError, match=r"examples 0 to \d+ cannot be read .* prepare"
  ):
    texts("tiny_notes:train", tmp_path / "data", skip_bad_records=True)
  os.remove(path)
  with pytest.raises(
    ValueError, match="array_record-00000-of-00003 is missing"
  ):
    texts("tiny_notes:train", tmp_path / "data")


@pytest.mark.parametrize(
  "package", ["tensorflow_datasets", "importlib_resources"]
)
def test_the_package_to_install_is_named(package, monkeypatch):
  monkeypatch.setitem(sys.modules, package, None)
  with pytest.raises(
    ValueError, match=rf"needs {package}; pip install 'bertjax\[tfds\]'"
  ):
    Corpus("tfds:tiny_notes:train")
