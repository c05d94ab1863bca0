# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Laws of what is learned from a sample before a corpus is encoded."""

import dataclasses
import json

import pytest

from bertjax import files as files_of_bertjax
from data_pipelines.prepare import learning, prepare
from data_pipelines.store.store import open_store
from tests.testing.prepared import TEXTS, files, write_jsonl


def test_what_was_learned_about_sentences_is_in_the_store(options, tmp_path):
  own = "The Xyz. {} came, and the Xyz. went home with the Xyz. of the town. "
  texts = [own.format(name) * 5 for name in ("Ann", "Bob", "Tom", "Sue")]
  corpus = write_jsonl(tmp_path / "own.jsonl", TEXTS + texts)
  own_text = dataclasses.replace(options, corpus=corpus)
  prepare.prepare(own_text)
  store = open_store(options.output)
  rules = json.loads((store.path / "sentences.json").read_text())
  assert "xyz" in rules["learned"]
  entry = store.manifest.sentences
  assert entry is not None
  assert entry.sha256 == files_of_bertjax.sha256_of(
    store.path / "sentences.json"
  )
  assert store.manifest.recipe["rules"] == "learned"
  lengths = store.split("train").num_sentences
  # Workers cut as this process does.
  other = dataclasses.replace(
    own_text, workers=1, output=str(tmp_path / "other")
  )
  prepare.prepare(other)
  assert open_store(other.output).manifest == store.manifest
  assert lengths == open_store(other.output).split("train").num_sentences
  (store.path / "sentences.json").write_text("{}")
  with pytest.raises(ValueError, match=r"sentences.json is 2 bytes long"):
    open_store(store.path)


def test_a_store_of_lines_has_learned_nothing(options):
  prepare.prepare(dataclasses.replace(options, sentences="lines"))
  store = open_store(options.output)
  assert store.manifest.sentences is None
  assert not (store.path / "sentences.json").exists()
  assert "rules" not in store.manifest.recipe


def test_a_corpus_in_memory_makes_the_same_store(
  options, tmp_path, monkeypatch
):
  prepare.prepare(options)
  monkeypatch.setattr(learning, "_MAX_HELD", 0)
  other = dataclasses.replace(options, output=str(tmp_path / "other"))
  prepare.prepare(other)
  assert files(tmp_path / "store") == files(tmp_path / "other")


def test_rules_that_are_damaged_are_named(options, tmp_path):
  def interrupt(stage, share, tokens):
    if tokens:
      raise KeyboardInterrupt

  with pytest.raises(KeyboardInterrupt):
    prepare.prepare(options, interrupt)
  (tmp_path / "store.partial" / "sentences.json").write_text("{}")
  with pytest.raises(
    ValueError, match=r"sentences.json cannot be read .*--res"
  ):
    prepare.prepare(options)


def test_a_store_of_version_2_opens_and_reads_as_before(options, tmp_path):
  prepare.prepare(options)
  path = tmp_path / "store" / "manifest.json"
  before = open_store(options.output)
  value = json.loads(path.read_text()) | {"version": 2}
  del value["sentences"], value["source"]["recipe"]["rules"]
  path.write_text(json.dumps(value))
  (tmp_path / "store" / "sentences.json").unlink()
  after = open_store(options.output)
  after.verify()
  assert after.manifest.splits == before.manifest.splits
