# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The objectives of pre-training, in one table, and the task made of them.

Every run learns the token objective; `objective.next_sentence` adds one on
sentence pairs. A new objective is a row here: steps, programs, console, reports
and sweeps read the table and name no objective.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bertjax.batch import (
  ENCODER_FEATURES,
  PRETRAINING_FEATURES,
  Vocabulary,
  empty_batch,
)
from bertjax.config import ComputeConfig, ModelConfig, ObjectiveConfig, choices
from bertjax.model import BertForPreTraining
from bertjax.model.parameters import compute_copy, pair_loss_parts
from bertjax.objectives import masking
from bertjax.objectives.losses import cross_entropy_metrics
from bertjax.objectives.metrics import Metrics
from bertjax.objectives.task import Features, Task

FEATURES = PRETRAINING_FEATURES
Array = jax.Array


@dataclasses.dataclass(frozen=True)
class Objective:
  """A loss of pre-training: the cross-entropy of the logits of one head.

  Attributes:
    name: prefix of its metrics, `NAME_loss` and `NAME_accuracy`.
    title: its name in tables.
    logits: the output of the model that it reads.
    targets: prepared batch → (targets, weights), each as the logits without
      their last axis.
    classes: names of its classes in the order of their labels; empty where
      the classes are the vocabulary.
    summary: the metrics that summaries of a run show.
  """

  name: str
  title: str
  logits: str
  targets: Callable[[Features], tuple[Array, Array]]
  classes: tuple[str, ...] = ()
  summary: tuple[str, ...] = ("accuracy",)

  @property
  def loss(self) -> str:
    """The name of its loss among the metrics."""
    return f"{self.name}_loss"


def _masked_targets(batch: Features) -> tuple[Array, Array]:
  return batch["masked"].targets_BP, batch["masked"].weights_BP


def _pair_targets(batch: Features) -> tuple[Array, Array]:
  label_BR = batch["pair_label_BR"]
  return jnp.maximum(label_BR, 0), (label_BR >= 0).astype(jnp.float32)


def _pair(name: str, title: str, classes: tuple[str, ...]) -> Objective:
  return Objective(name, title, "pair_logits_BRC", _pair_targets, classes)


# Masked language modeling (Devlin et al., 2018, section 3.1).
TOKEN_OBJECTIVE = Objective(
  "mlm",
  "masked-LM",
  "mlm_logits_BPV",
  _masked_targets,
  summary=("loss", "accuracy"),
)
# Values of `objective.next_sentence`: next sentence prediction (the same), and
# sentence order prediction (Lan et al., 2020, section 3.1).
PAIR_OBJECTIVES: Mapping[str, Objective | None] = {
  "off": None,
  "nsp": _pair("nsp", "next-sentence", ("next", "random")),
  "sop": _pair("sop", "sentence-order", ("in order", "swapped")),
}
assert set(PAIR_OBJECTIVES) == set(choices(ObjectiveConfig, "next_sentence"))
ALL = (TOKEN_OBJECTIVE, *filter(None, PAIR_OBJECTIVES.values()))
# Metrics that summaries of a run show; a run has those of its objectives.
SUMMARY_METRICS = tuple(
  f"{each.name}_{metric}" for each in ALL for metric in each.summary
)


def active(config: ObjectiveConfig) -> tuple[Objective, ...]:
  """Return the objectives whose losses are differentiated."""
  pair = PAIR_OBJECTIVES[config.next_sentence]
  if pair is None or not config.next_sentence_weight > 0:
    return (TOKEN_OBJECTIVE,)
  return (TOKEN_OBJECTIVE, pair)


def has_pair_loss(config: ObjectiveConfig) -> bool:
  """Return whether the pooler and the pair head receive a gradient."""
  return len(active(config)) > 1


def coefficients(config: ObjectiveConfig) -> dict[str, float]:
  """Return {name of each differentiated loss: its factor in the total}."""
  token, *pair = active(config)
  return {
    token.loss: 1.0,
    **{each.loss: config.next_sentence_weight for each in pair},
  }


def inactive_parts(config: ObjectiveConfig) -> tuple[str, ...]:
  """Return the parts of the parameters that no loss reaches.

  They keep their initial values: no update and no decay.
  """
  return () if has_pair_loss(config) else pair_loss_parts()


def pair_classes(config: ObjectiveConfig) -> tuple[str, ...]:
  """Return the class names of the pair labels; () if pairs have no label."""
  pair = PAIR_OBJECTIVES[config.next_sentence]
  return () if pair is None else pair.classes


def shown_metrics(config: ObjectiveConfig) -> list[str]:
  """Return the metrics that the progress line of a run shows."""
  return [
    f"{each.name}_{metric}"
    for each in active(config)
    for metric in ("loss", "accuracy")
  ]


def pretraining_weights(
  batch: Features, config: ObjectiveConfig
) -> dict[str, Array]:
  """Return the weight of each differentiated loss of a prepared batch."""
  return {each.loss: jnp.sum(each.targets(batch)[1]) for each in active(config)}


def pretraining_losses(
  outputs: Mapping[str, Array],
  batch: Features,
  config: ObjectiveConfig,
  log_unigram_V: np.ndarray | None,
) -> Metrics:
  """Return losses, accuracies and other metrics to report.

  Args:
    outputs: float32 logits of the model.
    batch: prepared, with `masked` and `pair_label_BR` (-1 none, else a class).
    config: which objectives are active.
    log_unigram_V: log share of each token in the training split, or None.

  Returns:
    `NAME_loss` and `NAME_accuracy` of each active objective. If whole words or
    spans are masked, `mask_shortfall`: of the tokens that the mask rate asks
    for, the share that no whole unit fills. With `log_unigram_V`,
    `unigram_entropy`: the mean -log p of exactly the masked targets. Natural
    logarithms.
  """
  metrics: Metrics = {}
  for each in active(config):
    metrics |= cross_entropy_metrics(
      each.name, outputs[each.logits], *each.targets(batch)
    )
  masked = batch["masked"]
  if config.mask_unit != "token":
    short, hidden = jnp.sum(masked.shortfall_B), jnp.sum(masked.weights_BP)
    short = short.astype(jnp.float32)
    metrics["mask_shortfall"] = (short, short + hidden)
  if log_unigram_V is not None:
    surprise_BP = -jnp.asarray(log_unigram_V)[masked.targets_BP]
    metrics["unigram_entropy"] = (
      jnp.sum(surprise_BP * masked.weights_BP),
      jnp.sum(masked.weights_BP),
    )
  return metrics


def make_model(
  model: ModelConfig, compute: ComputeConfig, config: ObjectiveConfig
) -> BertForPreTraining:
  """Return the module with the heads of the objectives, without parameters."""
  # A pair head of two classes exists, untrained, where pairs have no label.
  return BertForPreTraining(
    model, compute, num_pair_classes=len(pair_classes(config)) or 2
  )


def init_params(
  model: BertForPreTraining, seq_length: int, key: jax.Array
) -> Any:
  """Return fresh parameters, boxed with their logical axes."""
  return model.init(
    {"params": key},
    empty_batch(ENCODER_FEATURES, {"B": 1, "S": seq_length, "R": 1}),
    jnp.zeros((1, 1), jnp.int32),
    deterministic=True,
  )["params"]


def pretraining_task(
  model: BertForPreTraining,
  config: ObjectiveConfig,
  vocabulary: Vocabulary,
  *,
  slots: int,
) -> Task:
  """Return the active objectives as one task.

  Args:
    model: from `make_model`.
    config: masking, and which objectives are active.
    vocabulary: tables over the store's vocabulary.
    slots: prediction slots a row; see `masking.num_slots`.
  """

  def prepare(batch: Features) -> Features:
    masked = masking.mask_tokens(batch, vocabulary, config, slots=slots)
    return {**batch, "tokens_BS": masked.tokens_BS, "masked": masked}

  def losses(
    params: Any, batch: Features, *, rng: jax.Array, deterministic: bool
  ) -> Metrics:
    outputs: Any = model.apply(
      {"params": params},
      batch,
      batch["masked"].positions_BP,
      deterministic=deterministic,
      rngs={"dropout": rng},
    )
    return pretraining_losses(outputs, batch, config, vocabulary.log_unigram_V)

  return Task(
    losses=losses,
    coefficients=coefficients(config),
    weights=lambda batch: pretraining_weights(batch, config),
    features=FEATURES,
    prepare=prepare,
    compute_copy=lambda params: compute_copy(params, model.compute.dtype),
  )
