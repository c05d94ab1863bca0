# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Laws of the manifest: its bytes are the identity of a store."""

import dataclasses
import hashlib
import json

import pytest

from data_pipelines.store.manifest import (
  FileEntry,
  Manifest,
  ShardEntry,
  SplitEntry,
  read_manifest,
  write_manifest,
)
from tests.testing import synthetic

HASH = "a" * 64
SPLIT = SplitEntry(
  documents=3,
  sentences=7,
  split_sentences=1,
  tokens=40,
  records=1,
  blocks=1,
  shards=(ShardEntry("train-00000-of-00001.array_record", 80, HASH, 1),),
  index={},
)
SOURCE = {"recipe": {"corpus": {"tfds": "wiki/é"}}, "short": 2, "flag": True}
# As version 2 of the format has been written since the beginning.
TEXT = """{
  "format": "bertjax-store",
  "source": {
    "flag": true,
    "recipe": {
      "corpus": {
        "tfds": "wiki/\\u00e9"
      }
    },
    "short": 2
  },
  "splits": {
    "train": {
      "blocks": 1,
      "documents": 3,
      "index": {},
      "records": 1,
      "sentences": 7,
      "shards": [
        {
          "bytes": 80,
          "name": "train-00000-of-00001.array_record",
          "records": 1,
          "sha256": "ABC"
        }
      ],
      "split_sentences": 1,
      "tokens": 40
    }
  },
  "tokenizer": {
    "name": "places",
    "sha256": "ZERO",
    "special_ids": {
      "cls": 2,
      "mask": 4,
      "pad": 0,
      "sep": 3,
      "unk": 1
    },
    "vocab_size": 200000
  },
  "version": 2
}
""".replace("ZERO", "0" * 64).replace("ABC", HASH)


@pytest.fixture
def manifest():
  return Manifest(SOURCE, synthetic.TOKENIZER, {"train": SPLIT})


def test_the_bytes_of_a_manifest_stay_what_they_were(manifest, tmp_path):
  write_manifest(tmp_path, manifest)
  written = (tmp_path / "manifest.json").read_bytes()
  # Version 3 adds a file of sentence rules, and has the same fields otherwise.
  assert written == TEXT.replace('"version": 2', '"version": 3').encode()
  read, sha256 = read_manifest(tmp_path)
  assert read == manifest
  assert sha256 == hashlib.sha256(written).hexdigest()


def test_a_manifest_of_version_2_is_read_as_it_is(manifest, tmp_path):
  (tmp_path / "manifest.json").write_text(TEXT, encoding="utf-8")
  read, sha256 = read_manifest(tmp_path)
  assert read == dataclasses.replace(manifest, version=2)
  assert read.sentences is None
  assert sha256 == hashlib.sha256(TEXT.encode()).hexdigest()
  assert read.to_json() == TEXT


def test_a_manifest_of_a_later_version_is_refused(tmp_path):
  later = TEXT.replace('"version": 2', '"version": 4')
  (tmp_path / "manifest.json").write_text(later, encoding="utf-8")
  with pytest.raises(ValueError, match=r"version 4; .* versions 2 and 3"):
    read_manifest(tmp_path)


def test_the_file_of_sentence_rules_belongs_to_the_store(manifest, tmp_path):
  entry = FileEntry("sentences.json", 2, HASH)
  ruled = dataclasses.replace(manifest, sentences=entry)
  write_manifest(tmp_path, ruled)
  read, _ = read_manifest(tmp_path)
  assert read == ruled
  assert next(iter(read.files)) == entry


def test_a_manifest_tells_its_recipe_from_its_counts(manifest):
  assert manifest.corpus == {"tfds": "wiki/é"}
  assert manifest.counts == {"short": 2}
  assert Manifest({}, synthetic.TOKENIZER, {}).corpus is None


@pytest.mark.parametrize(
  "damage",
  [
    lambda value: value.pop("source"),
    lambda value: value["splits"]["train"].pop("tokens"),
    lambda value: value["splits"].update(train=3),
    lambda value: value["tokenizer"].update(color="red"),
    lambda value: value["tokenizer"].update(template={"first": [0]}),
    lambda value: value["tokenizer"]["special_ids"].pop("sep"),
  ],
)
def test_a_damaged_manifest_is_refused_in_one_line(damage, tmp_path):
  value = json.loads(TEXT)
  damage(value)
  (tmp_path / "manifest.json").write_text(json.dumps(value))
  with pytest.raises(ValueError, match="damaged") as raised:
    read_manifest(tmp_path)
  assert "\n" not in str(raised.value)


def test_special_tokens_that_are_not_berts_are_kept(manifest, tmp_path):
  assert manifest.tokenizer.read_template() == synthetic.BERT
  entry = dataclasses.replace(
    manifest.tokenizer, template=synthetic.ROBERTA.to_json()
  )
  write_manifest(tmp_path, dataclasses.replace(manifest, tokenizer=entry))
  read, _ = read_manifest(tmp_path)
  assert read.tokenizer.read_template() == synthetic.ROBERTA
