# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Judge what a pre-training run came to: is this loss normal?"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bertjax.config import PretrainConfig
from bertjax.objectives import pretraining
from launch.preflight import reference
from launch.preflight.findings import Finding, judge
from launch.preflight.policy import Policy

# Steps after the warm-up by which a loss has left the unigram entropy: BERT of
# any size stays there for some hundred steps, longer at a low rate.
_ENOUGH_STEPS = 1_000
# The share of a run that counts as its start.
_START = 0.1
_ENTROPY = "unigram_entropy"


def judge_results(
  config: PretrainConfig,
  validation: Mapping[str, float],
  train: Sequence[Mapping[str, Any]],
  policy: Policy,
) -> list[Finding]:
  """Judge the values of a finished run.

  Args:
    config: config of the run, resolved.
    validation: its last values on the validation rows; {} without a split.
    train: the lines of its training metrics, in order.
    policy: limits and levels that the user set.
  """
  return [
    *_judge_loss(config, validation, policy),
    *_judge_pairs(config, train, policy),
    *_judge_masking(config, train, policy),
  ]


def describe_results(
  config: PretrainConfig, validation: Mapping[str, float], tokens: int | None
) -> Iterator[str]:
  """Yield what others reached with a model of this shape."""
  loss = validation.get(pretraining.token_objective(config.objective).loss)
  if loss is not None:
    yield from reference.describe(
      config.model,
      tokens=tokens,
      loss=loss,
      entropy=validation.get(_ENTROPY),
    )


def _judge_loss(
  config: PretrainConfig, validation: Mapping[str, float], policy: Policy
) -> Iterator[Finding]:
  loss = validation.get(pretraining.token_objective(config.objective).loss)
  entropy = validation.get(_ENTROPY)
  enough = config.optimizer.warmup_steps + _ENOUGH_STEPS
  if loss is None or not entropy or config.steps < enough:
    return
  yield judge(
    "loss_at_unigram_entropy",
    loss / entropy,
    f"after {config.steps:,} steps the validation loss is {loss:.3f} nats, and "
    f"guessing by how often a token occurs gives {entropy:.3f}: the model has "
    "not learned from context",
    "raise or lower --config.optimizer.learning_rate, give more --config.steps,"
    " and look at the texts in the store's report",
    policy,
  )


def _judge_pairs(
  config: PretrainConfig, train: Sequence[Mapping[str, Any]], policy: Policy
) -> Iterator[Finding]:
  pair = pretraining.PAIR_OBJECTIVES[config.objective.next_sentence]
  # A run that goes on from a bundle may well begin with what that has learned.
  if pair is None or config.init_from:
    return
  name = f"{pair.name}_accuracy"
  first = max(_START * config.steps, config.log_every_steps)
  begun = [
    line[name] for line in train if line["step"] <= first and name in line
  ]
  if not begun:
    return
  accuracy = sum(begun) / len(begun)
  yield judge(
    "pair_accuracy_trivial",
    accuracy,
    f"the accuracy on sentence pairs is {accuracy:.3f} in the first "
    f"{first:,.0f} steps: something else than the text tells the pairs apart, "
    "or all have one label",
    "look at the share of random pairs and at the samples in the store's "
    "report, or set --config.objective.next_sentence=off",
    policy,
  )


def _judge_masking(
  config: PretrainConfig, train: Sequence[Mapping[str, Any]], policy: Policy
) -> Iterator[Finding]:
  rates = [line["mask_rate"] for line in train if "mask_rate" in line]
  if not rates:
    return
  asked, reached = config.objective.mask_rate, rates[-1]
  yield judge(
    "reached_mask_rate",
    reached / asked,
    f"{reached:.1%} of the tokens are masked, and "
    f"objective.mask_rate={asked:g} asks for {asked:.1%}: the others are "
    "special or unknown tokens, or in words too long to be taken whole",
    "look at the unknown tokens in the store's report, or set "
    "--config.objective.mask_unit=token",
    policy,
  )
