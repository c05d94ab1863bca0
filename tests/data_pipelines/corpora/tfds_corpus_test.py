# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import importlib
import json
import os
import pathlib
import pickle
import shutil
import sys

import pytest

from data_pipelines.corpora import reading, tfds_corpus
from data_pipelines.corpora.corpus import Corpus
from data_pipelines.corpora.reading import ReadCounts

tfds = pytest.importorskip("tensorflow_datasets")
pytest.importorskip("importlib_resources")

# A builder must live in a package that can be imported.
BUILDER = """
import numpy as np
import tensorflow_datasets as tfds


class TinyNotes(tfds.core.GeneratorBasedBuilder):
  VERSION = tfds.core.Version("1.2.0")
  BUILDER_CONFIGS = [
    tfds.core.BuilderConfig(name="en"),
    tfds.core.BuilderConfig(name="de"),
  ]

  def _info(self):
    features = {
      "id": np.int64,
      "text": tfds.features.Text(),
      "title": tfds.features.Text(),
    }
    return self.dataset_info_from_configs(
      features=tfds.features.FeaturesDict(features)
    )

  def _split_generators(self, dl_manager):
    return {
      "train": self._generate_examples(100), "test": self._generate_examples(7)
    }

  def _generate_examples(self, count):
    for number in range(count):
      text = f"{self.builder_config.name} número {number}\\r\\n"
      if number == 5:
        text = ""
      yield number, {"id": number, "text": text, "title": f"t{number}"}
"""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
  """A data folder with tiny_notes/en, and the class that made it."""
  home = tmp_path_factory.mktemp("home")
  package = home / "tiny_notes_package"
  package.mkdir()
  (package / "__init__.py").touch()
  (package / "builder.py").write_text(BUILDER, encoding="utf-8")
  sys.path.insert(0, str(home))
  try:
    module = importlib.import_module("tiny_notes_package.builder")
    tfds.disable_progress_bar()
    builder = make(module.TinyNotes, home / "data", "array_record")
    assert builder.info.splits["train"].num_shards == 3
    yield home / "data", module.TinyNotes
  finally:
    sys.path.remove(str(home))


def make(kind, folder, file_format):
  config = tfds.download.DownloadConfig(num_shards=3)
  builder = kind(data_dir=str(folder), config="en", file_format=file_format)
  builder.download_and_prepare(download_config=config)
  return builder


def texts(spec, folder, **options):
  corpus = Corpus(f"tfds:{spec}", tfds_data_dir=str(folder), **options)
  return [document.text for document in corpus]


def numbers(spec, folder):
  return [int(text.split()[-1]) for text in texts(spec, folder)]


def test_all_examples_come_once_without_tensorflow(prepared):
  folder, _ = prepared
  loaded = "tensorflow" in sys.modules
  corpus = Corpus("tfds:tiny_notes/en:train", tfds_data_dir=str(folder))
  found = list(corpus)
  assert sorted(document.text for document in found) == sorted(
    f"en número {number}\n" for number in range(100) if number != 5
  )
  assert corpus.counts == ReadCounts(position=corpus.size, empty=1)
  files = (folder / "tiny_notes/en/1.2.0").glob("*train*")
  assert corpus.size == sum(path.stat().st_size for path in files)
  assert found[0].name == "tfds:tiny_notes/en/1.2.0:train:0"
  assert ("tensorflow" in sys.modules) == loaded


def test_splits_are_cut_as_tfds_cuts_them(prepared):
  folder, _ = prepared
  builder = tfds.builder("tiny_notes/en", data_dir=str(folder))
  for split in ("train[:10%]", "train[37:61]", "train[95%:]+test", "all"):
    source = builder.as_data_source(split)
    wanted = [example["id"] for example in source if example["id"] != 5]
    assert numbers(f"tiny_notes/en:{split}", folder) == wanted
    assert numbers(f"tiny_notes/en:1.2.0:{split}", folder) == wanted
    assert numbers(f"tiny_notes:1.*.*:{split}", folder) == wanted


def test_large_splits_are_many_sources(prepared, monkeypatch):
  folder, _ = prepared
  spec, place = "tfds:tiny_notes:train[3:]", str(folder)
  whole = Corpus(spec, tfds_data_dir=place)
  monkeypatch.setattr(tfds_corpus, "EXAMPLES", 10)
  corpus = Corpus(spec, tfds_data_dir=place)
  assert len(whole.sources) == 1
  assert len(corpus.sources) == 10
  assert corpus.size == whole.size
  assert corpus.identity() == whole.identity()
  found, counts = [], ReadCounts()
  for source in pickle.loads(pickle.dumps(corpus.sources)):
    own = ReadCounts()
    found.extend(source.read(own))
    assert own.position == source.size > 0
    counts += own
  assert found == list(whole)
  assert counts == whole.counts


def test_progress_grows_to_the_whole(prepared, monkeypatch):
  folder, _ = prepared
  monkeypatch.setattr(reading, "_MAX_ROWS_AT_ONCE", 10)
  corpus = Corpus("tfds:tiny_notes:train", tfds_data_dir=str(folder))
  shares = [corpus.share_read or 0.0 for _ in corpus]
  assert shares == sorted(shares)
  assert len(set(shares)) == 10
  assert corpus.share_read == 1


def test_another_feature_can_hold_the_text(prepared):
  folder, _ = prepared
  found = texts("tiny_notes:test", folder, text_field="title")
  assert sorted(found) == [f"t{number}" for number in range(7)]


def test_identity_depends_on_content_and_split_not_on_the_place(
  prepared, tmp_path
):
  folder, _ = prepared
  shutil.copytree(folder, tmp_path / "data")

  def identity(split, where=folder):
    return Corpus(
      f"tfds:tiny_notes:{split}", tfds_data_dir=str(where)
    ).identity()

  one = identity("train[:10%]")
  assert one == identity("train[:10%]", tmp_path / "data")
  assert str(folder) not in json.dumps(one)
  assert one["tfds"][0]["name"] == "tiny_notes/en/1.2.0"
  assert one["tfds"][0]["examples"] == 10
  assert one != identity("train[10%:20%]")
  both = Corpus(
    "tfds:tiny_notes:train,tfds:tiny_notes:test", tfds_data_dir=str(folder)
  )
  assert len(both.identity()["tfds"]) == 2
  assert len(list(both)) == 105


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
