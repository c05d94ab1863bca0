# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses

import pytest

from data_pipelines.prepare.options import Options
from data_pipelines.prepare.prepare import prepare
from data_pipelines.store.store import open_store
from launch.preflight.policy import DEFAULT
from launch.preflight.store import (
  StoreFigures,
  judge_store,
  measure_store,
)
from tests.testing import prepared

SOUND = StoreFigures(
  tokens=1_000_000,
  unknown_tokens=0.0,
  maskable_tokens=1.0,
  fertility=1.2,
  unused_vocabulary=0.01,
  documents=100,
  validation_tokens=50_000,
  validation_unknown_tokens=0.0,
  counts={},
)


def not_passed(findings):
  return {each.name: each.level for each in findings if each.level != "pass"}


@pytest.mark.parametrize(
  ("change", "found"),
  [
    ({}, {}),
    ({"unknown_tokens": 0.02}, {"unknown_tokens": "warn"}),
    ({"unknown_tokens": 0.5}, {"unknown_tokens": "fail"}),
    ({"validation_asked": 0.02}, {"validation_excess": "warn"}),
    ({"validation_asked": 0.05}, {}),
    ({"validation_unknown_tokens": 0.5}, {"unknown_tokens": "warn"}),
    ({"maskable_tokens": 0.0}, {"maskable_tokens": "fail"}),
    ({"fertility": 2.5}, {"fertility": "warn"}),
    ({"fertility": 9.0, "unspaced": 0.9}, {}),
    ({"asked": 200, "learned": 99}, {"learned_vocabulary": "warn"}),
    ({"asked": 200, "learned": 101}, {}),
    ({"unknown_letters": 0.002}, {"unknown_letters": "warn"}),
    ({"lost_marks": 0.0011}, {"lost_marks": "warn"}),
    ({"unused_vocabulary": 0.6}, {"unused_vocabulary": "warn"}),
    ({"counts": {"duplicate_documents": 9}}, {"duplicate_documents": "warn"}),
    ({"counts": {"shared_documents": 1}}, {"shared_documents": "warn"}),
    ({"counts": {"nul_characters": 3}}, {"nul_characters": "warn"}),
    ({"files": 9, "passed_over": {".md": 9, "store": 99}}, {}),
    ({"files": 9, "passed_over": {".md": 10}}, {"unread_files": "warn"}),
    ({"validation_tokens": None}, {"no_validation": "warn"}),
    ({"validation_tokens": 0}, {"no_validation": "warn"}),
    ({"validation_tokens": 9_000}, {"validation_tokens": "warn"}),
    ({"validation_tokens": 900_000}, {"validation_share": "warn"}),
  ],
)
def test_only_what_is_beyond_a_limit_is_found(change, found):
  figures = dataclasses.replace(SOUND, **change)
  assert not_passed(judge_store(figures, DEFAULT)) == found


def test_no_fix_proposes_a_vocabulary_that_its_kind_cannot_have():
  """Bytes and special tokens are 261, of which a text may use less."""
  change = {"asked": 30_000, "learned": 300, "unused_vocabulary": 0.4}
  for smallest, wanted in ((0, "=180"), (261, "=261"), (300, "")):
    figures = dataclasses.replace(SOUND, **change, smallest=smallest)
    fixes = [
      each.fix for each in judge_store(figures, DEFAULT) if each.level != "pass"
    ]
    assert len(fixes) == 2
    for fix in fixes:
      assert fix.startswith("prepare more text")
      assert ("--vocab_size" in fix) == bool(wanted)
      assert f"--vocab_size{wanted}" in fix or not wanted


def test_a_vocabulary_of_bytes_has_a_smallest_size(tmp_path):
  for kind, smallest in (("wordpiece", 0), ("roberta", 261)):
    corpus = prepared.write_jsonl(tmp_path / "text.jsonl", prepared.TEXTS)
    made = prepare(
      Options(
        corpus=corpus,
        output=str(tmp_path / kind),
        tokenizer=kind,
        vocab_size=261,
      )
    )
    figures = measure_store(open_store(made.path))
    assert figures.smallest == smallest


def test_what_a_text_gives_too_few_tokens_for_has_one_fix():
  """The size that it can use, and not all that it gives: many never occur."""
  change = {"asked": 30_000, "learned": 3_000, "unused_vocabulary": 0.4}
  found = judge_store(dataclasses.replace(SOUND, **change), DEFAULT)
  fixes = [each.fix for each in found if each.level != "pass"]
  assert len(fixes) == 2
  assert all("--vocab_size=1800" in fix for fix in fixes)
