# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import json
import pickle
import sys

import pytest

from data_pipelines.corpora import hf_corpus
from data_pipelines.corpora.corpus import Corpus
from data_pipelines.corpora.reading import ReadCounts
from tests.testing import hub_datasets

pa = pytest.importorskip("pyarrow")

TEXTS = ["", *(f"text {i}\r\nof the split" for i in range(1, 40))]
NAME = "owner/notes"


def table(texts):
  return pa.table({"id": range(len(texts)), "text": pa.array(texts)})


@pytest.fixture
def hub(tmp_path, monkeypatch):
  file = tmp_path / "notes-train.arrow"
  file.write_bytes(bytes(4000))
  splits = {"train": table(TEXTS), "test": table(["one", None, "three"])}
  module = hub_datasets.package(NAME, splits, str(file))
  monkeypatch.setitem(sys.modules, "datasets", module)


def texts(spec, **options):
  return [document.text for document in Corpus(spec, **options)]


def test_a_split_is_read_with_and_without_a_configuration(hub):
  expected = [text.replace("\r", "") for text in TEXTS if text]
  corpus = Corpus(f"hf:{NAME}:train")
  found = list(corpus)
  assert [document.text for document in found] == expected
  assert found[0].name == f"hf:{NAME}:train:1"  # 0 is empty
  assert corpus.counts == ReadCounts(position=corpus.size, empty=1)
  assert corpus.size == 4000
  assert texts(f"hf:{NAME}:en:train") == expected
  assert texts(f"hf:{NAME}:en:train[3:5]") == expected[2:4]
  assert texts(f"hf:{NAME}:train[:3]") == expected[:2]


def test_a_large_split_is_many_sources(hub, monkeypatch):
  whole = Corpus(f"hf:{NAME}:train")
  monkeypatch.setattr(hf_corpus, "EXAMPLES", 7)
  corpus = Corpus(f"hf:{NAME}:train")
  assert len(corpus.sources) == 6
  assert corpus.size == whole.size
  assert corpus.identity() == whole.identity()
  found = [
    document
    for source in pickle.loads(pickle.dumps(corpus.sources))
    for document in source.read(ReadCounts())
  ]
  assert found == list(whole)


def test_identity_is_the_text_and_its_name(hub):
  one = Corpus(f"hf:{NAME}:en:train[:9]").identity()["hf"]
  assert one[0]["name"] == f"{NAME}:en"
  assert (one[0]["split"], one[0]["examples"]) == ("train[:9]", 9)
  other = Corpus(f"hf:{NAME}:en:train[1:10]").identity()["hf"]
  assert one[0]["sha256"] != other[0]["sha256"]


def test_rows_without_text_are_named_or_counted(hub):
  with pytest.raises(ValueError, match=rf"hf:{NAME}:test:1: no text \(null\)"):
    texts(f"hf:{NAME}:test")
  assert texts(f"hf:{NAME}:test", skip_bad_records=True) == ["one", "three"]


@pytest.mark.parametrize(
  ("part", "message"),
  [
    (NAME, r"names no split; give hf:NAME\[:CONFIG\]:SPLIT"),
    (f"{NAME}:dev", 'Unknown split "dev"'),
    (f"{NAME}:de:train", "BuilderConfig 'de' not found"),
    (f"{NAME}:train[:0]", "is empty"),
    (
      "nowhere:train",
      r"cannot be loaded \(Couldn't reach 'nowhere' on the Hub",
    ),
  ],
)
def test_what_is_not_there_is_one_line(hub, part, message):
  with pytest.raises(ValueError, match=message) as caught:
    Corpus(f"hf:{part}")
  assert "\n" not in str(caught.value)


def test_a_wrong_column_lists_the_columns(hub):
  with pytest.raises(ValueError, match=r"no column body \(it has id, text\)"):
    Corpus(f"hf:{NAME}:train", text_field="body")
  with pytest.raises(ValueError, match="column id is int64, not string"):
    Corpus(f"hf:{NAME}:train", text_field="id")


def test_the_package_to_install_is_named(monkeypatch):
  monkeypatch.setitem(sys.modules, "datasets", None)
  with pytest.raises(ValueError, match=r"pip install 'bertjax\[datasets\]'"):
    Corpus(f"hf:{NAME}:train")


def test_the_package_itself_reads_a_folder(tmp_path, monkeypatch):
  datasets = pytest.importorskip("datasets")
  monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
  (tmp_path / "notes").mkdir()
  lines = (json.dumps({"id": i, "text": f"text {i}"}) for i in range(30))
  (tmp_path / "notes" / "train.jsonl").write_text("\n".join(lines))
  corpus = Corpus(f"hf:{tmp_path}/notes:train[:50%]")
  assert [d.text for d in corpus] == [f"text {i}" for i in range(15)]
  sources = pickle.loads(pickle.dumps(corpus.sources))
  assert [d.text for s in sources for d in s.read(ReadCounts())] == [
    f"text {i}" for i in range(15)
  ]
  assert corpus.size > 0
  assert corpus.identity() == Corpus(corpus.spec).identity()
  datasets.load_dataset(f"{tmp_path}/notes", split="train").save_to_disk(
    tmp_path / "saved"
  )
  assert texts(f"{tmp_path}/saved") == [f"text {i}" for i in range(30)]
