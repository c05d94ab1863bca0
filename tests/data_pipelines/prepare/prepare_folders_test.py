# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Laws of the folders that a command names: what is read, and what is found."""

import dataclasses

import pytest

from data_pipelines.corpora import digests, filesystems
from data_pipelines.prepare import prepare
from data_pipelines.store.store import open_store
from tests.testing.prepared import TEXTS, files, write_jsonl


@pytest.mark.parametrize("pattern", ["", "/**/*", "/*"])
def test_a_store_inside_the_folder_of_its_corpus_is_not_text(
  pattern, options, tmp_path
):
  folder = tmp_path / "here"
  folder.mkdir()
  write_jsonl(folder / "a.jsonl", TEXTS)
  inside = dataclasses.replace(
    options, corpus=f"{folder}{pattern}", output=f"{folder}/store"
  )
  outside = dataclasses.replace(inside, output=str(tmp_path / "there"))
  prepare.prepare(outside)

  def interrupt(stage, share, tokens):
    if tokens:
      raise KeyboardInterrupt

  with pytest.raises(KeyboardInterrupt):
    prepare.prepare(inside, interrupt)
  assert (folder / "store.partial" / "tokenizer").is_dir()
  assert prepare.prepare(inside).new
  assert files(folder / "store") == files(tmp_path / "there")
  again = prepare.prepare(inside)
  assert not again.new
  assert again.passed_over == {}
  # Another store in the folder is not text either, and is counted.
  other = dataclasses.replace(inside, output=f"{folder}/other")
  summary = prepare.prepare(other)
  assert summary.splits == again.splits
  assert summary.passed_over == {"store": 1}


def test_what_a_folder_holds_beside_the_text_is_in_the_manifest(
  options, tmp_path
):
  folder = tmp_path / "here"
  folder.mkdir()
  for name in ("b.md", "c.md", "d"):
    (folder / name).write_text("no text")
  corpora = {}
  for name, texts in (("train", TEXTS[:30]), ("dev", TEXTS[30:])):
    (folder / name).mkdir()
    write_jsonl(folder / name / "A.JSONL", texts)
    (folder / name / "e.md").write_text("no text")
    corpora[name] = str(folder / name)
  options = dataclasses.replace(options, corpus=str(folder))
  counts = {".md": 4, "without suffix": 1}
  assert prepare.prepare(options).passed_over == counts
  manifest = open_store(options.output).manifest
  assert manifest.source["passed_over"] == manifest.passed_over == counts
  assert "passed_over" not in manifest.counts
  apart = dataclasses.replace(
    options,
    corpus=corpora["train"],
    validation=corpora["dev"],
    output=str(tmp_path / "apart"),
  )
  assert prepare.prepare(apart).passed_over == {".md": 2}


def test_a_tilde_is_the_home_folder(options, tmp_path, monkeypatch):
  monkeypatch.setenv("HOME", str(tmp_path / "home"))
  (tmp_path / "home").mkdir()
  monkeypatch.chdir(tmp_path)
  write_jsonl(tmp_path / "home" / "a.jsonl", TEXTS)
  first = dataclasses.replace(options, corpus="~/a.jsonl", output="~/store")
  assert prepare.prepare(first).new
  assert not (tmp_path / "~").exists()
  assert open_store("~/store").path == tmp_path / "home" / "store"
  second = dataclasses.replace(first, tokenizer="~/store", output="~/other")
  prepare.prepare(second)
  more = dataclasses.replace(second, extend_vocab=3, output="~/more")
  prepare.prepare(more)
  kept = dataclasses.replace(first, tokenizer="~/more", output="~/kept")
  prepare.prepare(kept)
  assert (tmp_path / "home" / "kept/tokenizer/extension.json").is_file()
  assert files(tmp_path / "home" / "store" / "tokenizer") == files(
    tmp_path / "home" / "other" / "tokenizer"
  )
  assert not prepare.prepare(second).new


def test_a_store_that_is_there_is_found_without_reading_the_corpus(
  options, tmp_path, monkeypatch
):
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
  monkeypatch.setattr(digests, "_LEAST_BYTES", 1)
  monkeypatch.setattr(digests, "_TICK_SECONDS", 0)
  prepare.prepare(options)
  with monkeypatch.context() as patch:
    patch.setattr(filesystems.File, "digest", None)
    assert not prepare.prepare(options).new
  with open(options.corpus, "a", encoding="utf-8") as file:
    file.write('{"text": "One more."}\n')
  with pytest.raises(ValueError, match="has a store with corpus"):
    prepare.prepare(options)
