# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Judge what a pre-training run came to: is this loss normal?"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bertjax.config import PretrainConfig
from bertjax.objectives import pretraining
from launch.preflight import reference
from launch.preflight.bands import find_band, objective_of
from launch.preflight.findings import Finding, judge
from launch.preflight.kinds import EVALUATED_RATE, Kind, count
from launch.preflight.policy import Policy

# Steps after the warm-up by which a loss has left the unigram entropy: BERT of
# any size stays there for some hundred steps, longer at a low rate.
_ENOUGH_STEPS = 1_000
# The share of a run that counts as its start.
_START = 0.1
_ENTROPY = "unigram_entropy"
# What to do where a model has learned too little.
_LEARN = (
  "raise or lower --config.optimizer.learning_rate, give more --config.steps, "
  "and look at the texts in the store's report"
)


def judge_results(
  config: PretrainConfig,
  validation: Mapping[str, float],
  train: Sequence[Mapping[str, Any]],
  tokenizer: str,
  policy: Policy,
) -> list[Finding]:
  """Judge the values of a finished run.

  Args:
    config: config of the run, resolved.
    validation: its last values on the validation rows; {} without a split.
    train: the lines of its training metrics, in order.
    tokenizer: name of the kind of its tokenizer.
    policy: limits and levels that the user set.
  """
  return [
    *_judge_loss(config, validation, policy),
    *_judge_band(config, validation, train, tokenizer, policy),
    *_judge_pairs(config, train, policy),
    *_judge_masking(config, train, policy),
  ]


def describe_results(
  config: PretrainConfig,
  validation: Mapping[str, float],
  tokens: int | None,
  tokenizer: str,
) -> Iterator[str]:
  """Yield what others reached with a model of this kind and shape, if any."""
  loss = _loss(config, validation)
  if loss is not None and config.evaluation.mask_rate == EVALUATED_RATE:
    yield from reference.describe(
      config.model,
      Kind.of(config, tokenizer),
      objective_of(config.objective),
      tokens=tokens,
      loss=loss,
      entropy=validation.get(_ENTROPY),
    )


def _loss(
  config: PretrainConfig, validation: Mapping[str, float]
) -> float | None:
  """Return the validation loss on masked tokens; None if there is none."""
  return validation.get(pretraining.token_objective(config.objective).loss)


def _judge_loss(
  config: PretrainConfig, validation: Mapping[str, float], policy: Policy
) -> Iterator[Finding]:
  loss = _loss(config, validation)
  entropy = validation.get(_ENTROPY)
  if loss is None or not entropy or not _has_enough_steps(config):
    return
  yield judge(
    "loss_at_unigram_entropy",
    loss / entropy,
    f"after {config.steps:,} steps the validation loss is {loss:.3f} nats, and "
    f"guessing by how often a token occurs gives {entropy:.3f}: the model has "
    "not learned from context",
    _LEARN,
    policy,
  )


def _judge_band(
  config: PretrainConfig,
  validation: Mapping[str, float],
  train: Sequence[Mapping[str, Any]],
  tokenizer: str,
  policy: Policy,
) -> Iterator[Finding]:
  loss = _loss(config, validation)
  tokens = train[-1].get("tokens") if train else None
  # What a bundle has seen before is not counted.
  known = not config.init_from and config.evaluation.mask_rate == EVALUATED_RATE
  if loss is None or not tokens or not known or not _has_enough_steps(config):
    return
  band = find_band(
    config.model,
    objective_of(config.objective),
    Kind.of(config, tokenizer),
    tokens=tokens,
    entropy=validation.get(_ENTROPY),
  )
  if band.low is None and band.high is None:
    return
  distance, edge = band.beyond(loss) or (0.0, None)
  text = f"the validation loss is {loss:.3f} nats after {count(tokens)}"
  if edge:
    text += (
      f", {abs(distance):.2f} {'below' if distance < 0 else 'above'} what is "
      f"known of {edge.layers} layers of width {edge.width}: {edge}"
    )
  fix = _LEARN
  if distance < 0:
    fix = (
      "see whether validation texts are also in the training split or all texts"
      " are alike, in the store's report; a small vocabulary gives low losses "
      "as well"
    )
  yield judge(
    "loss_outside_band",
    abs(distance),
    text,
    fix,
    policy,
  )


def _has_enough_steps(config: PretrainConfig) -> bool:
  return config.steps >= config.optimizer.warmup_steps + _ENOUGH_STEPS


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
