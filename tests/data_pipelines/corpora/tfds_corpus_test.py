# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import json
import pickle
import shutil
import sys

import pytest

from data_pipelines.corpora import reading, tfds_corpus
from data_pipelines.corpora.corpus import Corpus
from data_pipelines.corpora.reading import ReadCounts
from tests.testing.tiny_notes import texts

tfds = pytest.importorskip("tensorflow_datasets")
pytest.importorskip("importlib_resources")


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
