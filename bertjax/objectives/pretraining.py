# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The objectives of pre-training, in one table, and the task made of them.

Every run has one objective on tokens; `objective.next_sentence` adds one on
sentence pairs. A new objective is a row here: steps, programs, console, reports
and sweeps read the tables and name no objective.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from bertjax.batch import (
  ENCODER_FEATURES,
  PRETRAINING_FEATURES,
  Vocabulary,
  empty_batch,
)
from bertjax.config import (
  PAIR_CLASSES,
  ComputeConfig,
  ModelConfig,
  ObjectiveConfig,
)
from bertjax.model import BertForPreTraining
from bertjax.model.parameters import (
  MLM_HEAD,
  PAIR_HEAD,
  POOLER,
  compute_copy,
)
from bertjax.objectives import masking
from bertjax.objectives.losses import cross_entropy_metrics, is_right
from bertjax.objectives.metrics import Metrics
from bertjax.objectives.task import Features, Task

FEATURES = PRETRAINING_FEATURES
Array = jax.Array
# What stands at a target, as the metrics name it.
_KINDS = {
  "masked": masking.MASK,
  "randomized": masking.RANDOM,
  "kept": masking.KEPT,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Objective:
  """A loss of pre-training: the cross-entropy of the logits of one head.

  Attributes:
    name: prefix of its metrics, `NAME_loss` and `NAME_accuracy`.
    title: its name in tables.
    parts: the parts of the parameters that no other kind of loss reaches.
    coefficient: config → factor of its loss in the total; a loss with factor 0
      is not computed.
    logits: the output of the model that it reads.
    targets: prepared batch → (targets, weights), each as the logits without
      their last axis.
    summary: the metrics that summaries of a run show.
  """

  name: str
  title: str
  parts: tuple[str, ...]
  coefficient: Callable[[ObjectiveConfig], float]
  logits: str
  targets: Callable[[Features], tuple[Array, Array]]
  summary: tuple[str, ...] = ("accuracy",)

  @property
  def loss(self) -> str:
    """The name of its loss among the metrics."""
    return f"{self.name}_loss"

  def metrics(self, outputs: Mapping[str, Array], batch: Features) -> Metrics:
    """Return its loss and accuracy on a prepared batch, as sums and weights."""
    return cross_entropy_metrics(
      self.name, outputs[self.logits], *self.targets(batch)
    )

  def weight(self, batch: Features) -> Array:
    """Return the weight of its loss on a prepared batch."""
    return jnp.sum(self.targets(batch)[1])


@dataclasses.dataclass(frozen=True, kw_only=True)
class TokenObjective(Objective):
  """An objective on tokens, which decides the class of the model.

  Attributes:
    model: (shape, compute, num_pair_classes=) → a module that takes features
      and prediction slots, and returns logits by name. It has the heads of the
      pair objectives, too.
  """

  model: Callable[..., nn.Module]


def _masked_targets(batch: Features) -> tuple[Array, Array]:
  return batch["masked"].targets_BP, batch["masked"].weights_BP


def _pair_targets(batch: Features) -> tuple[Array, Array]:
  label_BR = batch["pair_label_BR"]
  return jnp.maximum(label_BR, 0), (label_BR >= 0).astype(jnp.float32)


def _pair(name: str, title: str) -> Objective:
  return Objective(
    name=name,
    title=title,
    parts=(POOLER, PAIR_HEAD),
    coefficient=lambda config: config.next_sentence_weight,
    logits="pair_logits_BRC",
    targets=_pair_targets,
  )


# Masked language modeling (Devlin et al., 2018, section 3.1).
TOKEN_OBJECTIVES: Mapping[str, TokenObjective] = {
  "mlm": TokenObjective(
    name="mlm",
    title="masked-LM",
    parts=(MLM_HEAD,),
    coefficient=lambda _: 1.0,
    logits="mlm_logits_BPV",
    targets=_masked_targets,
    summary=("loss", "accuracy"),
    model=BertForPreTraining,
  ),
}
# Values of `objective.next_sentence`: next sentence prediction (the same), and
# sentence order prediction (Lan et al., 2020, section 3.1).
PAIR_OBJECTIVES: Mapping[str, Objective | None] = {
  "off": None,
  "nsp": _pair("nsp", "next-sentence"),
  "sop": _pair("sop", "sentence-order"),
}
assert set(PAIR_OBJECTIVES) == set(PAIR_CLASSES)
ALL = (*TOKEN_OBJECTIVES.values(), *filter(None, PAIR_OBJECTIVES.values()))
# Metrics that summaries of a run show; a run has those of its objectives.
SUMMARY_METRICS = tuple(
  f"{each.name}_{metric}" for each in ALL for metric in each.summary
)


def token_objective(config: ObjectiveConfig) -> TokenObjective:
  """Return the objective on tokens: the only one, whatever the config."""
  del config
  return TOKEN_OBJECTIVES["mlm"]


def active(config: ObjectiveConfig) -> tuple[Objective, ...]:
  """Return the objectives whose losses are differentiated, tokens first."""
  pair = PAIR_OBJECTIVES[config.next_sentence]
  chosen = (token_objective(config), *((pair,) if pair else ()))
  return tuple(each for each in chosen if each.coefficient(config) > 0)


def coefficients(config: ObjectiveConfig) -> dict[str, float]:
  """Return {name of each differentiated loss: its factor in the total}."""
  return {each.loss: each.coefficient(config) for each in active(config)}


def inactive_parts(config: ObjectiveConfig) -> tuple[str, ...]:
  """Return the parts of the parameters that no loss reaches.

  They keep their initial values: no update and no decay.
  """
  reached = {part for each in active(config) for part in each.parts}
  of_the_model = (token_objective(config), *PAIR_OBJECTIVES.values())
  parts = [part for each in of_the_model if each for part in each.parts]
  return tuple(part for part in dict.fromkeys(parts) if part not in reached)


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
  return {each.loss: each.weight(batch) for each in active(config)}


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
    metrics |= each.metrics(outputs, batch)
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


def masking_metrics(
  outputs: Mapping[str, Array],
  batch: Features,
  config: ObjectiveConfig,
  *,
  by_kind: bool,
) -> Metrics:
  """Return what tells whether masking does what it should.

  Args:
    outputs: as for `pretraining_losses`.
    batch: prepared, with `masked` and `packs_BS`.
    config: which objectives are active.
    by_kind: whether to tell accuracies apart by what stands at a target.

  Returns:
    `mask_rate`: the share of the tokens, [CLS] and [SEP] included, that are
    targets. By kind: `NAME_accuracy_masked`, `_randomized` and `_kept`, over
    the targets that show [MASK], a random token and themselves. A kept token is
    easy and a random one misleads, so that kept > masked > randomized.
  """
  masked = batch["masked"]
  tokens = jnp.sum(batch["packs_BS"] > 0, dtype=jnp.int32).astype(jnp.float32)
  metrics = {"mask_rate": (jnp.sum(masked.weights_BP), tokens)}
  if by_kind:
    each = token_objective(config)
    right_BP = is_right(outputs[each.logits], masked.targets_BP)
    for name, kind in _KINDS.items():
      of_kind_BP = (masked.kind_BP == kind).astype(jnp.float32)
      metrics[f"{each.name}_accuracy_{name}"] = (
        jnp.sum(right_BP * of_kind_BP),
        jnp.sum(of_kind_BP),
      )
  return metrics


def make_model(
  model: ModelConfig, compute: ComputeConfig, config: ObjectiveConfig
) -> nn.Module:
  """Return the module with the heads of the objectives, without parameters."""
  # A pair head of two classes exists, untrained, where pairs have no label.
  return token_objective(config).model(
    model,
    compute,
    num_pair_classes=len(PAIR_CLASSES[config.next_sentence]) or 2,
  )


def init_params(model: nn.Module, seq_length: int, key: jax.Array) -> Any:
  """Return fresh parameters, boxed with their logical axes."""
  return model.init(
    {"params": key},
    empty_batch(ENCODER_FEATURES, {"B": 1, "S": seq_length, "R": 1}),
    jnp.zeros((1, 1), jnp.int32),
    deterministic=True,
  )["params"]


def pretraining_task(
  model: nn.Module,
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
    losses = pretraining_losses(
      outputs, batch, config, vocabulary.log_unigram_V
    )
    return losses | masking_metrics(
      outputs, batch, config, by_kind=deterministic
    )

  return Task(
    losses=losses,
    coefficients=coefficients(config),
    weights=lambda batch: pretraining_weights(batch, config),
    features=FEATURES,
    prepare=prepare,
    compute_copy=lambda params: compute_copy(params, model.compute.dtype),
  )
