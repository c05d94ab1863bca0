# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Laws of what is held out for validation."""

import dataclasses

import pytest

from data_pipelines.prepare import prepare
from tests.testing.prepared import TEXTS, make_texts, write_jsonl


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
  assert summary.splits["train"]["documents"] == 60
  assert summary.counts["shared_documents"] == 1
