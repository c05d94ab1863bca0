# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Laws of planned examples, over every format and pair objective."""

import dataclasses

import numpy as np
import pytest

from bertjax.config import ObjectiveConfig
from tests.testing import synthetic
from tests.testing.plans import (
  CELLS,
  LENGTHS,
  make_planner,
  objective,
  own,
  plan,
  segments,
)


@pytest.mark.parametrize("seq_length", LENGTHS)
@pytest.mark.parametrize(("form", "task"), CELLS)
def test_each_sentence_is_own_text_of_one_example(
  form, task, seq_length, split
):
  chosen = objective(form, task)
  cut = 0
  times = np.zeros(split.num_tokens, np.int64)
  for block in range(split.num_blocks):
    examples = plan(split, block, chosen, seq_length)
    cut += examples.truncated
    # sop swaps its own sentences: there both segments are own text.
    texts = (
      own(examples)
      if task != "sop"
      else [
        np.concatenate([at for _, at in found]) for found in segments(examples)
      ]
    )
    for text in texts:
      times[text] += 1
  assert times.max() == 1
  assert cut == (times == 0).sum()


@pytest.mark.parametrize("seq_length", LENGTHS)
@pytest.mark.parametrize(("form", "task"), CELLS)
def test_examples_fit_and_hold_whole_segments(
  form, task, seq_length, split, where
):
  _, document_of = where
  for block in range(split.num_blocks):
    examples = plan(split, block, objective(form, task), seq_length)
    lengths = examples.lengths()
    assert lengths.max() <= seq_length
    assert (examples.length_K >= 1).all()
    for length, found in zip(lengths, segments(examples), strict=True):
      assert length == 1 + sum(len(at) + 1 for _, at in found)
      for _, at in found:
        assert len(set(document_of[at])) == 1
    assert len(set(examples.ids_E)) == len(examples.ids_E)


@pytest.mark.parametrize(("form", "task"), CELLS)
def test_a_plan_follows_from_its_draws_alone(form, task, split):
  chosen = objective(form, task)
  same, again, other = (
    plan(split, 2, chosen, 64, epoch=epoch) for epoch in (0, 0, 1)
  )
  for field in dataclasses.fields(same):
    left, right = (getattr(each, field.name) for each in (same, again))
    np.testing.assert_array_equal(left, right)
  if (form, task) != ("sentence_pair", "off"):  # where nothing is random
    assert any(
      not np.array_equal(getattr(same, name), getattr(other, name))
      for name in ("address_K", "length_K", "labels_E")
    )


def test_short_examples_are_as_frequent_as_asked(split):
  def mean_length(short_rate):
    chosen = objective("doc_sentences", "off", short_rate)
    return np.mean(
      np.concatenate(
        [
          plan(split, block, chosen, 64).lengths()
          for block in range(split.num_blocks)
        ]
      )
    )

  full, some, short = mean_length(0.0), mean_length(0.1), mean_length(1.0)
  assert short < 0.75 * full
  assert short < some < full


@pytest.mark.parametrize(
  ("changes", "seq_length", "message"),
  [
    ({"input_format": "words"}, 64, "input_format='words'"),
    ({"next_sentence": "maybe"}, 64, "next_sentence='maybe'"),
    ({"input_format": "full_sentences"}, 64, "needs pairs"),
    ({"short_rate": 1.5}, 64, r"short_rate=1\.5"),
    ({}, 7, "seq_length=7"),
  ],
)
def test_impossible_rows_are_refused_in_one_line(
  changes, seq_length, message, tmp_path
):
  made = synthetic.make_store(tmp_path / "two", {"train": [[5] * 40] * 2})
  with pytest.raises(ValueError, match=message) as raised:
    make_planner(made, ObjectiveConfig(**changes), seq_length)
  assert "\n" not in str(raised.value)


def masks_of(planner, epoch, block):
  """The first token of each example's own text, its length, and its key."""
  rows = planner.rows(epoch, block)
  first_E = np.cumsum(rows.segments_E) - rows.segments_E
  return {
    (int(rows.address_K[first]), int(length)): tuple(key)
    for first, length, key in zip(
      first_E, rows.lengths(), rows.keys_E2.tolist(), strict=True
    )
  }


@pytest.mark.parametrize(("form", "task"), CELLS)
def test_static_copies_repeat_examples_and_masks(form, task, made):
  dynamic = objective(form, task)
  static = dataclasses.replace(dynamic, static_copies=2)
  planner, other = (
    make_planner(made, chosen, 64) for chosen in (static, dynamic)
  )
  for block in range(made.split("train").num_blocks):
    epochs = [masks_of(planner, epoch, block) for epoch in range(4)]
    assert epochs[2] == epochs[0]
    assert epochs[3] == epochs[1]
    # Two copies are masked in two ways.
    assert not {*epochs[0].values()} & {*epochs[1].values()}
    # Until a copy repeats, it is what dynamic masking draws.
    assert [masks_of(other, epoch, block) for epoch in (0, 1)] == epochs[:2]
    assert masks_of(other, 2, block) != epochs[2]
    assert planner.count_rows(2, block) == len(planner.rows(2, block))
  assert not np.array_equal(planner.block_order(0), planner.block_order(2))


def test_masks_alone_differ_where_every_epoch_has_the_same_examples(made):
  chosen = objective("doc_sentences", "off", short_rate=0.0)
  static = dataclasses.replace(chosen, static_copies=1)
  ours, theirs = (
    masks_of(make_planner(made, each, 64), 3, 0) for each in (static, chosen)
  )
  assert ours.keys() == theirs.keys()
  assert not {*ours.values()} & {*theirs.values()}


def test_rows_of_dynamic_masking_have_the_identity_that_they_had(made):
  chosen = objective("segment_pair", "off")
  identities = {
    copies: make_planner(
      made, dataclasses.replace(chosen, static_copies=copies), 64
    ).identity
    for copies in (0, 1, 2)
  }
  assert len({*identities.values()}) == 3
  assert identities[0] == make_planner(made, chosen, 64).identity
