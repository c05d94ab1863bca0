# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Every difference is named, and warned of where numbers do not compare."""

import dataclasses

import pytest

from launch.compare.differences import find_differences
from launch.compare.runs import read_run
from tests.testing.compared import write_finetune, write_pretrain


def pretrained(tmp_path, fields=None, facts=None, **values):
  first = read_run(write_pretrain(tmp_path / "a"))
  second = read_run(write_pretrain(tmp_path / "b", fields, **values))
  known = {"store": "0123", "tokenizer": "4567", "rows_version": 2}
  return find_differences(
    [
      dataclasses.replace(first, facts=known),
      dataclasses.replace(second, facts={**known, **(facts or {})}),
    ]
  )


def test_equal_runs_differ_in_nothing(tmp_path):
  found = pretrained(tmp_path)
  assert (found.fields, found.facts, found.cautions) == ((), (), ())
  assert found.equal["optimizer.name"] == "adamw"


def test_only_the_fields_that_differ_are_named(tmp_path):
  found = pretrained(
    tmp_path, {"optimizer.learning_rate": 2e-4, "optimizer.beta2": 0.98}
  )
  assert [(each.name, each.values) for each in found.fields] == [
    ("optimizer.beta2", ("0.999", "0.98")),
    ("optimizer.learning_rate", ("0.0001", "0.0002")),
  ]
  # How a run learns changes nothing about how it is measured.
  assert found.cautions == ()


@pytest.mark.parametrize(
  ("fields", "facts", "words"),
  [
    ({}, {"store": "89ab"}, r"texts are not the same \(store is 0123 / 89ab"),
    ({}, {"tokenizer": "89ab"}, "tokenizers are not the same"),
    ({"objective.next_sentence": "off"}, {}, "validation rows are not the"),
    ({"data.seq_length": 64}, {}, r"rows .*data\.seq_length is 128 / 64"),
    ({"evaluation.rows": 64}, {}, r"rows .*evaluation\.rows is 8192 / 64"),
    ({"evaluation.mask_rate": 0.3}, {}, "validation masks are not the same"),
    ({}, {"rows_version": 1}, "Rows are planned otherwise"),
    ({"batch_size": 16}, {}, r"equally many tokens \(32,000 / 64,000\)"),
  ],
)
def test_what_does_not_compare_is_warned_of(tmp_path, fields, facts, words):
  (caution,) = pretrained(tmp_path, fields, facts).cautions
  assert caution.count("\n") == 0
  with pytest.raises(AssertionError, match=words):
    raise AssertionError(caution)


def test_training_masks_may_differ(tmp_path):
  """Evaluation masks by its own rate, whatever the run trains with."""
  found = pretrained(tmp_path, {"objective.mask_rate": 0.4})
  assert found.cautions == ()


def test_an_unfinished_run_is_said_to_be(tmp_path):
  cautions = pretrained(tmp_path, steps=20).cautions
  assert cautions[0].endswith("b is at step 20 of 40.")


def test_a_field_that_is_newer_than_a_run_has_what_runs_did_before(tmp_path):
  runs = [read_run(write_pretrain(tmp_path / name)) for name in "ab"]
  fields = dict(runs[1].fields)
  del fields["positions_per_device"]
  older = dataclasses.replace(runs[1], fields=fields)
  assert find_differences([runs[0], older]).fields == ()


def test_finetuning_on_other_examples_is_warned_of(tmp_path):
  identity = {
    "examples": {"train": "a" * 64, "dev": "b" * 64, "test": "d" * 64}
  }
  runs = [
    read_run(write_finetune(tmp_path / "a", [0.5, 0.6])),
    read_run(write_finetune(tmp_path / "b", [0.5], identity=identity)),
  ]
  examples, budget, seeds = find_differences(runs).cautions
  assert "have the seeds 1, which are left out" in seeds
  assert "examples of test are not the same" in examples
  assert "(1 / 1 learning rates, 2 / 1 seeds)" in budget


def test_seeds_that_are_not_common_are_named(tmp_path):
  runs = [
    read_run(write_finetune(tmp_path / "a", [0.5, 0.6, 0.7])),
    read_run(write_finetune(tmp_path / "b", [0.5, 0.6], seeds=(1, 4))),
  ]
  (found,) = [c for c in find_differences(runs).cautions if "left out" in c]
  assert "do not both have the seeds 0, 2, 4, which are left out" in found
