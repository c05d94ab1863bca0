# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses
import json
import random

import numpy as np
import pytest

from data_pipelines.corpora import documents, sentences
from data_pipelines.prepare import deduplication, prepare, spool
from data_pipelines.prepare.options import Options
from data_pipelines.store.store import open_store
from data_pipelines.tokenizers import tokenizers

WORDS = "the old man and sea was fishing alone in a small boat of stream"


def make_paragraphs(count, seed=0):
  rng = random.Random(seed)
  return [
    f"Line {i} {' '.join(rng.choices(WORDS.split(), k=9))}. It {rng.random()}."
    for i in range(count)
  ]


UNIQUE = make_paragraphs(120)
OFTEN = make_paragraphs(6, seed=1)


def make_texts():
  """Documents of several paragraphs, some of which stand in others, too."""
  rng = random.Random(2)
  texts = []
  for start in range(0, 120, 4):
    paragraphs = UNIQUE[start : start + 4] + rng.sample(OFTEN, 2)
    rng.shuffle(paragraphs)
    texts.append("\n\n".join(["Yes.", *paragraphs, "Yes."]))
  # Equal documents, one that repeats itself, one made of repetitions alone.
  again = "\n\n".join([UNIQUE[0], UNIQUE[0], "Yes."])
  return [*texts, texts[3], texts[3], again, "\n\n".join(OFTEN)]


TEXTS = make_texts()


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory):
  folder = tmp_path_factory.mktemp("vocabulary")
  tokenizers.train(TEXTS, "wordpiece", 120).save(folder)
  return str(folder)


def make_options(folder, vocabulary, texts=TEXTS, **changes):
  corpus = folder / f"{changes.get('output', 'store')}.jsonl"
  lines = (json.dumps({"text": text}) + "\n" for text in texts)
  corpus.write_text("".join(lines), encoding="utf-8")
  options = Options(
    corpus=str(corpus),
    output="store",
    tokenizer=vocabulary,
    validation="0",
    deduplicate="paragraphs",
  )
  options = dataclasses.replace(options, **changes)
  return dataclasses.replace(options, output=str(folder / options.output))


def stored_sentences(split):
  ids = np.concatenate(split.read_records(range(split.num_records)))
  lengths = (split.sentences & np.uint16(0x7FFF)).astype(int)
  found = [tuple(part) for part in np.split(ids, np.cumsum(lengths)[:-1])]
  return [
    found[first:last]
    for first, last in zip(split.documents, split.documents[1:], strict=False)
  ]


def expected_documents(texts, level, tokenizer, seen=(), heard=()):
  """What should stay, by a walk through the documents in order of hash."""
  seen, heard, kept = set(seen), set(heard), []
  for text in sorted(texts, key=documents.digest):
    if text in seen:
      continue
    seen.add(text)
    paragraphs = []
    for paragraph in sentences.split_paragraphs(text):
      joined = " ".join(paragraph)
      if level == "paragraphs" and len(joined) >= 40:
        if joined in heard:
          continue
        heard.add(joined)
      paragraphs += paragraph
    if paragraphs:
      kept.append([tuple(ids) for ids in tokenizer.encode(paragraphs)])
  return kept


@pytest.mark.parametrize("level", ["documents", "paragraphs"])
@pytest.mark.parametrize("small", [False, True])
def test_the_first_of_its_kind_stays_and_nothing_else_goes(
  level, small, tmp_path, vocabulary, monkeypatch
):
  if small:  # many files, little memory
    monkeypatch.setattr(deduplication, "_FILE_BYTES", 900)
    monkeypatch.setattr(deduplication, "_HELD", 50)
    monkeypatch.setattr(spool, "_MAX_BYTES", 900)
  options = make_options(tmp_path, vocabulary, deduplicate=level)
  summary = prepare.prepare(options)
  tokenizer = tokenizers.load(vocabulary)
  expected = expected_documents(TEXTS, level, tokenizer)
  found = stored_sentences(open_store(options.output).split("train"))
  assert found == expected
  counts = summary.counts
  assert counts["duplicate_documents"] == len(TEXTS) - len(expected)
  everything = sum(
    len(ids)
    for text in TEXTS
    for ids in tokenizer.encode(sentences.split(text))
  )
  kept = summary.splits["train"]["tokens"]
  assert counts["duplicate_tokens"] == everything - kept > 0
  assert (counts["duplicate_paragraphs"] > 0) == (level == "paragraphs")


def test_none_leaves_all_and_counts_equal_documents(tmp_path, vocabulary):
  options = make_options(tmp_path, vocabulary, deduplicate="none")
  summary = prepare.prepare(options)
  assert summary.splits["train"]["documents"] == len(TEXTS)
  assert summary.counts["duplicate_documents"] == 2
  assert summary.counts["duplicate_tokens"] == 0


def test_validation_files_are_kept_and_training_text_goes(tmp_path, vocabulary):
  held_out = [TEXTS[0], "\n\n".join([OFTEN[1], "No, this is held out alone."])]
  path = tmp_path / "held_out.jsonl"
  path.write_text("".join(json.dumps({"text": t}) + "\n" for t in held_out))
  options = make_options(tmp_path, vocabulary, validation=str(path))
  summary = prepare.prepare(options)
  store, tokenizer = open_store(options.output), tokenizers.load(vocabulary)
  kept = expected_documents(held_out, "paragraphs", tokenizer)
  assert stored_sentences(store.split("validation")) == kept
  heard = {
    " ".join(paragraph)
    for text in held_out
    for paragraph in sentences.split_paragraphs(text)
  }
  assert stored_sentences(store.split("train")) == expected_documents(
    TEXTS, "paragraphs", tokenizer, seen=held_out, heard=heard
  )
  assert summary.counts["held_out_documents"] == 1


def test_order_files_and_workers_do_not_matter(tmp_path, vocabulary):
  one = make_options(tmp_path, vocabulary)
  two = make_options(
    tmp_path, vocabulary, TEXTS[::-1], output="other", workers=2
  )
  prepare.prepare(one)
  prepare.prepare(two)
  a, b = (open_store(options.output).manifest for options in (one, two))
  assert a.splits == b.splits
  assert {k: v for k, v in a.source.items() if k != "recipe"} == {
    k: v for k, v in b.source.items() if k != "recipe"
  }


def test_another_level_is_another_store(tmp_path, vocabulary):
  options = make_options(tmp_path, vocabulary)
  prepare.prepare(options)
  with pytest.raises(ValueError, match='deduplicate "paragraphs", not null'):
    prepare.prepare(dataclasses.replace(options, deduplicate="none"))


@pytest.mark.parametrize("stage", ["find repeated paragraphs", "write"])
def test_a_run_stopped_while_it_deduplicates_goes_on(
  stage, tmp_path, vocabulary
):
  expected = make_options(tmp_path, vocabulary, output="expected")
  prepare.prepare(expected)
  options = make_options(tmp_path, vocabulary)
  calls = 0

  def interrupt(at, share, tokens):
    nonlocal calls
    calls += at == stage
    if calls == {"write": 5}.get(stage, 1):
      raise KeyboardInterrupt

  with pytest.raises(KeyboardInterrupt):
    prepare.prepare(options, interrupt)
  summary = prepare.prepare(options)
  assert summary.tokens_encoded == 0
  one, two = (
    {path.name: path.read_bytes() for path in (tmp_path / name).glob("*.*")}
    for name in ("expected", "store")
  )
  assert one == two


def test_a_split_that_keeps_nothing_is_refused(tmp_path, vocabulary):
  options = make_options(tmp_path, vocabulary)
  same = dataclasses.replace(options, validation=options.corpus)
  with pytest.raises(ValueError, match="split train has no text left"):
    prepare.prepare(same)
  assert not list(tmp_path.glob("store*/"))


def test_a_paragraph_that_stands_everywhere_is_never_held_as_often(
  tmp_path, vocabulary, monkeypatch
):
  monkeypatch.setattr(deduplication, "_HELD", 20)
  often = OFTEN[0]
  texts = [
    f"{often}\n\nText {i} is of its own, and long enough." for i in range(400)
  ]
  loaded = []
  load = deduplication._Files.load

  def watched(self, file):
    entries = load(self, file)
    if self._field == "hash":
      loaded.append(
        np.bincount(np.unique(entries["hash"], return_inverse=True)[1])
      )
    return entries

  monkeypatch.setattr(deduplication._Files, "load", watched)
  summary = prepare.prepare(make_options(tmp_path, vocabulary, texts))
  assert summary.counts["duplicate_paragraphs"] == 399
  assert max(counts.max() for counts in loaded if len(counts)) < 40
