# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Laws of what is held out for validation."""

import dataclasses

import pytest

from data_pipelines.prepare import prepare
from data_pipelines.store.store import open_store
from tests.testing.prepared import TEXTS, make_texts, stored, write_jsonl


def test_validation_takes_a_share_but_never_too_few(options, tmp_path):
  for count, expected in ((2, 1), (3, 1), (4, 2), (60, 2)):
    corpus = write_jsonl(tmp_path / f"{count}.jsonl", TEXTS[:count])
    few = dataclasses.replace(
      options, corpus=corpus, output=corpus + ".store", validation="1e-9"
    )
    splits = prepare.prepare(few).splits
    assert splits["validation"]["documents"] == expected
    assert splits["train"]["documents"] == count - expected
  none = dataclasses.replace(options, validation="0")
  assert list(prepare.prepare(none).splits) == ["train"]


@pytest.mark.parametrize(
  ("texts", "validation"),
  [(["one"], "0.05"), (["one", "one"], "0.05"), (TEXTS[:9], "0.9999999")],
)
def test_splits_without_a_document_are_refused(
  texts, validation, options, tmp_path
):
  corpus = write_jsonl(tmp_path / "few.jsonl", texts)
  few = dataclasses.replace(options, corpus=corpus, validation=validation)
  with pytest.raises(ValueError, match="leaves nothing to train or to valid"):
    prepare.prepare(few)
  assert not (tmp_path / "store.partial").exists()


def test_validation_can_be_files_of_its_own(options, tmp_path):
  held_out = [*make_texts(5, seed=1), TEXTS[3]]
  path = write_jsonl(tmp_path / "held_out.jsonl", held_out)
  summary = prepare.prepare(dataclasses.replace(options, validation=path))
  assert summary.splits["validation"]["documents"] == 6
  assert summary.splits["train"]["documents"] == 59
  assert summary.counts["held_out_documents"] == 1


@pytest.mark.parametrize("level", ["none", "documents", "paragraphs"])
def test_files_of_validation_are_never_also_in_train(level, options, tmp_path):
  """A glob of the corpus may match the files of validation."""
  path = write_jsonl(tmp_path / "corpus-valid.jsonl", TEXTS[:8] + TEXTS[:2])
  both = dataclasses.replace(
    options,
    corpus=f"{tmp_path}/corpus*.jsonl",
    validation=path,
    deduplicate=level,
  )
  summary = prepare.prepare(both)
  assert summary.splits["train"]["documents"] == 52
  assert summary.counts["held_out_documents"] == 18
  store = open_store(options.output)
  train, validation = (
    {str(document) for document in stored(store.split(name))}
    for name in ("train", "validation")
  )
  assert train.isdisjoint(validation)


def test_white_space_puts_no_text_in_both_splits(options, tmp_path):
  texts = [
    variant
    for text in TEXTS
    for variant in (
      text,
      f"{text}\n",
      text.replace(" ", "\n"),
      f" {text.replace('. ', '.  ')}",
      text.replace(" ", "\u00a0"),
    )
  ]
  corpus = write_jsonl(tmp_path / "variants.jsonl", texts)
  variants = dataclasses.replace(options, corpus=corpus)
  prepare.prepare(variants)
  store = open_store(options.output)
  tokens = [
    {
      str([ids for sentence in document for ids in sentence])
      for document in stored(store.split(name))
    }
    for name in ("train", "validation")
  ]
  assert tokens[0].isdisjoint(tokens[1])
  alone = dataclasses.replace(
    variants, output=f"{tmp_path}/alone", deduplicate="documents"
  )
  summary = prepare.prepare(alone)
  assert summary.counts["duplicate_documents"] == 4 * len(TEXTS)
  assert sum(s["documents"] for s in summary.splits.values()) == len(TEXTS)
