# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Each warning about the results of a run, and runs that have none."""

import functools

import pytest

from bertjax.config import SIZES, PretrainConfig
from launch.preflight import results
from launch.preflight.policy import DEFAULT
from tests.testing.configs import replaced

CONFIG = replaced(
  PretrainConfig(steps=5_000, model=SIZES["mini"]),
  {"optimizer.warmup_steps": 500},
)
NORMAL = {"mlm_loss": 4.1, "unigram_entropy": 6.5}
TRAIN = [
  {
    "step": step,
    "tokens": 2_048 * step,
    "nsp_accuracy": accuracy,
    "mask_rate": 0.15,
  }
  for step, accuracy in ((10, 0.5), (500, 0.6), (5_000, 0.9))
]


def levels(config=CONFIG, validation=NORMAL, train=TRAIN, kind="wordpiece"):
  found = results.judge_results(config, validation, train, kind, DEFAULT)
  return {each.name: each.level for each in found}


def test_a_normal_run_has_no_warning():
  assert levels() == {
    "loss_at_unigram_entropy": "pass",
    "loss_outside_band": "pass",
    "pair_accuracy_trivial": "pass",
    "reached_mask_rate": "pass",
  }


@pytest.mark.parametrize("loss", [6.5, 6.42, 8.0])
def test_a_loss_that_stays_at_the_unigram_entropy_warns(loss):
  stuck = {**NORMAL, "mlm_loss": loss}
  assert levels(validation=stuck)["loss_at_unigram_entropy"] == "warn"
  # Before the warm-up is well over, every run is there.
  young = replaced(CONFIG, {"steps": 1_499})
  assert "loss_at_unigram_entropy" not in levels(young, stuck)


@pytest.mark.parametrize(
  ("loss", "side", "fix"),
  [
    (5.0, "1.10 above", "learning_rate"),
    (0.7, "1.06 below", "texts are alike"),
  ],
)
def test_a_loss_far_from_what_others_reached_warns(loss, side, fix):
  """Mini after 10 M tokens: 2.60 below 6.5, and 1.76 of 3 x 768 at its end."""
  far = {**NORMAL, "mlm_loss": loss}
  (found,) = (
    each
    for each in results.judge_results(CONFIG, far, TRAIN, "wordpiece", DEFAULT)
    if each.name == "loss_outside_band"
  )
  assert found.level == "warn"
  assert f"after 10.2 M tokens, {side} what is known of" in found.text
  assert fix in found.fix
  # A run that goes on has seen more, and other masks have another loss.
  for changes in ({"init_from": "bundle"}, {"evaluation.mask_rate": 0.4}):
    other = replaced(CONFIG, changes)
    assert "loss_outside_band" not in levels(other, far)


@pytest.mark.parametrize(
  ("rows", "level"), [("segment_pair", "pass"), ("sentence_pair", "warn")]
)
def test_a_loss_is_judged_by_runs_made_here_on_rows_of_its_kind(rows, level):
  config = replaced(
    CONFIG,
    {
      "model": SIZES["tiny"],
      "objective.input_format": rows,
      "objective.mask_rate": 0.4,
    },
  )
  validation = {**NORMAL, "mlm_loss": 4.9}
  (found,) = (
    each
    for each in results.judge_results(
      config, validation, TRAIN, "wordpiece", DEFAULT
    )
    if each.name == "loss_outside_band"
  )
  assert found.level == level
  assert "None" not in found.text
  if level == "warn":
    assert "docs/studies/nsp/python, sentence_mlm_nsp" in found.text


def test_without_a_validation_split_no_loss_is_judged():
  assert "loss_at_unigram_entropy" not in levels(validation={})


def test_pairs_that_are_told_apart_from_the_start_warn():
  known = [{**line, "nsp_accuracy": 1.0} for line in TRAIN]
  assert levels(train=known)["pair_accuracy_trivial"] == "warn"
  # Learned in the course of the run, they are no surprise.
  learned = [*TRAIN[:2], *known[2:]]
  assert levels(train=learned)["pair_accuracy_trivial"] == "pass"
  # Nor where the run goes on from a bundle, or predicts no pairs.
  resumed = replaced(CONFIG, {"init_from": "bundle"})
  assert "pair_accuracy_trivial" not in levels(resumed, train=known)
  off = replaced(CONFIG, {"objective.next_sentence": "off"})
  assert "pair_accuracy_trivial" not in levels(off, train=known)


def test_a_mask_rate_that_is_not_reached_warns():
  few = [{**line, "mask_rate": 0.1} for line in TRAIN]
  assert levels(train=few)["reached_mask_rate"] == "warn"


def test_the_results_of_others_are_shown_beside_a_run():
  describe = functools.partial(
    results.describe_results, tokens=10**9, tokenizer="wordpiece"
  )
  lines = list(describe(CONFIG, NORMAL))
  assert "4.100 nats, 2.40 nats below the unigram entropy" in lines[0]
  assert not list(describe(CONFIG, {}))


FAR = {**NORMAL, "mlm_loss": 0.5}


@pytest.mark.parametrize(
  ("changes", "kind"),
  [
    # Other words in the vocabulary, other masks in training or in evaluation.
    ({}, "byte_bpe"),
    ({}, "sentencepiece"),
    ({"objective.mask_unit": "ngram"}, "wordpiece"),
    ({"objective.mask_unit": "span"}, "wordpiece"),
    ({"objective.mask_rate": 0.3}, "wordpiece"),
    (
      {"objective.mask_token_rate": 1.0, "objective.random_token_rate": 0.0},
      "wordpiece",
    ),
    ({"evaluation.mask_rate": 0.3}, "wordpiece"),
    # Other encoders.
    ({"model.layer_groups": 1, "model.embedding_size": 128}, "wordpiece"),
    ({"model.positions": "rotary"}, "wordpiece"),
    ({"model.norm_position": "pre"}, "wordpiece"),
    ({"model.feed_forward": "gated"}, "wordpiece"),
  ],
)
def test_of_a_run_unlike_all_that_is_known_nothing_is_said(changes, kind):
  config = replaced(CONFIG, changes)
  assert "loss_outside_band" not in levels(config, FAR, kind=kind)
  assert not list(results.describe_results(config, FAR, 10**9, kind))


@pytest.mark.parametrize("rate", [0.15, 0.4])
def test_of_a_run_like_others_it_is(rate):
  config = replaced(CONFIG, {"objective.mask_rate": rate})
  assert levels(config, FAR)["loss_outside_band"] == "warn"
  assert list(results.describe_results(config, FAR, 10**9, "wordpiece"))
