# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What a fine-tuned encoder has forgotten of pre-training.

Two figures against the bundle that it began with: the masked-LM loss on the
same rows and masks, with the bundle's own head, and how far the hidden states
of dev texts have turned, layer by layer.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bertjax.checkpoints.bundle import BundleInfo, load_params
from bertjax.config import ComputeConfig, ModelConfig
from bertjax.config.checks import open_choices
from bertjax.config.names import FINETUNING
from bertjax.finetune.embeddings import hidden_by_layer
from bertjax.finetune.programs import Programs
from bertjax.finetune.reference import Reference, make_masked_lm
from bertjax.finetune.splits import Split
from bertjax.model.encoder import Encoder
from bertjax.model.parameters import ENCODER
from bertjax.objectives.task import Features
from bertjax.parallel import sharding
from bertjax.trials.markdown import cell, markdown
from bertjax.trials.results import JsonResult
from bertjax.trials.statistics import Summary, summarize

# Batches of dev that hidden states are compared on, evenly drawn.
_DEV_BATCHES = 16
Array = jax.Array


@dataclasses.dataclass(frozen=True)
class Forgetting(JsonResult):
  """A trained encoder beside the one that it began with.

  Attributes:
    mlm_loss_before: masked-LM loss of the start on the reference, in nats.
    mlm_loss: that of the trained encoder under the start's head.
    cosines: for each layer, the lowest first, the mean cosine between the
      hidden states of both, over tokens of dev.
  """

  mlm_loss_before: float
  mlm_loss: float
  cosines: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class ForgettingScores(JsonResult):
  """What the runs have forgotten, over the seeds; see `Forgetting`."""

  mlm_loss_before: float
  mlm_loss: Summary
  cosines: tuple[Summary, ...]


def score_forgetting(
  found: Sequence[Forgetting | None],
) -> ForgettingScores | None:
  """Summarize what runs have forgotten; None where it was not measured."""
  runs = [each for each in found if each]
  if not runs or len(runs) < len(found):
    return None
  return ForgettingScores(
    mlm_loss_before=runs[0].mlm_loss_before,
    mlm_loss=summarize([each.mlm_loss for each in runs]),
    cosines=tuple(
      summarize(list(values))
      for values in zip(*(each.cosines for each in runs), strict=True)
    ),
  )


def describe(found: ForgettingScores | None) -> Iterator[str]:
  """Yield a sentence and a table, as Markdown."""
  if found is None:
    return
  yield (
    "Masked-LM loss on the reference store, with the head of the bundle: "
    f"{found.mlm_loss_before:.4f} nats before fine-tuning, "
    f"{cell(vars(found.mlm_loss))} after it. Mean cosine between the hidden "
    "states of both encoders, over the tokens of dev:"
  )
  yield markdown(
    ["layer", "cosine"],
    [
      [str(layer), cell(vars(each))]
      for layer, each in enumerate(found.cosines, 1)
    ],
  )


def make_measure(
  reference: Reference,
  info: BundleInfo,
  programs: Programs,
  dev: Split,
  compute: ComputeConfig,
) -> Callable[[Any], Forgetting]:
  """Return parameters → what they have forgotten of a bundle.

  Each of the two programs that it runs is compiled once. The bundle's loss is
  computed with the first measurement.

  Args:
    reference: text of pre-training.
    info: the bundle that fine-tuning begins with.
    programs: functions that train; theirs is the mesh.
    dev: texts whose hidden states are compared.
    compute: how to compute.
  """
  start = _load(info, programs)
  # Dropout is never applied here, and would rule out kernels.
  shape = dataclasses.replace(
    info.model, hidden_dropout_rate=0.0, attention_dropout_rate=0.0
  )
  masked_lm = make_masked_lm(reference, shape, programs.mesh, compute)

  def mlm_loss(params: Any) -> float:
    return masked_lm(params)["mlm_loss"]

  cosines = _make_cosines(shape, programs, dev, compute)
  before: list[float] = []

  def measure(params: Any) -> Forgetting:
    if not before:
      before.append(mlm_loss(start))
    return Forgetting(
      mlm_loss_before=before[0],
      mlm_loss=mlm_loss({**start, ENCODER: params[ENCODER]}),
      cosines=cosines(start[ENCODER], params[ENCODER]),
    )

  return measure


def _load(info: BundleInfo, programs: Programs) -> Any:
  """Return the bundle's parameters; heads that do not train are replicated."""
  ours = programs.abstract.params
  params = load_params(info, ours)
  whole = sharding.replicated(programs.mesh)
  return {
    part: leaves
    if part in ours
    else jax.device_put(jax.device_get(leaves), whole)
    for part, leaves in params.items()
  }


def _make_cosines(
  shape: ModelConfig, programs: Programs, dev: Split, compute: ComputeConfig
) -> Callable[[Any, Any], tuple[float, ...]]:
  batches = dev.placed
  drawn = sorted(
    {i * len(batches) // _DEV_BATCHES for i in range(_DEV_BATCHES)}
  )
  _, seq_length = batches[0]["tokens_BS"].shape
  encoder = Encoder(shape, _resolve(compute, shape, programs, seq_length))

  def add_up(before: Any, after: Any, batch: Features) -> tuple[Array, Array]:
    with sharding.activate(programs.mesh):
      _, before_LBSD = hidden_by_layer(encoder, before, batch)
      _, after_LBSD = hidden_by_layer(encoder, after, batch)
    cosine_LBS = _cosine(before_LBSD, after_LBSD)
    is_token_BS = batch["packs_BS"] > 0
    sum_L = jnp.sum(jnp.where(is_token_BS[None], cosine_LBS, 0.0), axis=(1, 2))
    return sum_L, jnp.sum(is_token_BS)

  compiled = jax.jit(add_up, out_shardings=sharding.replicated(programs.mesh))

  def cosines(before: Any, after: Any) -> tuple[float, ...]:
    parts = jax.device_get(
      [compiled(before, after, batches[number]) for number in drawn]
    )
    sum_L = np.sum([np.asarray(each, np.float64) for each, _ in parts], axis=0)
    return tuple((sum_L / sum(int(count) for _, count in parts)).tolist())

  return cosines


def _cosine(ours: Array, theirs: Array) -> Array:
  """Return the float32 cosine between vectors along the last axis."""
  ours, theirs = (each.astype(jnp.float32) for each in (ours, theirs))
  lengths = jnp.linalg.norm(ours, axis=-1) * jnp.linalg.norm(theirs, axis=-1)
  return jnp.sum(ours * theirs, axis=-1) / jnp.maximum(lengths, 1e-12)


def _resolve(
  compute: ComputeConfig, shape: ModelConfig, programs: Programs, length: int
) -> ComputeConfig:
  return open_choices.resolve(
    compute, shape, list(programs.mesh.devices.flat), length, FINETUNING
  )
