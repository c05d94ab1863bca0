# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Probes that train no encoder: the same held-out text for all arms.

Rows and pairs are of the validation split of the study's own store, whatever
store or length an arm trains with, and are computed in float32.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from bertjax.checkpoints.bundle import BundleInfo, load_params
from bertjax.config import (
  ComputeConfig,
  DataConfig,
  MeshConfig,
  ModelConfig,
  ProbesConfig,
  SweepConfig,
)
from bertjax.config.phases import split_phases
from bertjax.finetune.embeddings import embed_in_fixed_shapes, encoder_params
from bertjax.finetune.reference import make_masked_lm
from bertjax.parallel.mesh import make_mesh
from bertjax.parallel.sharding import replicated
from bertjax.sweep import study
from bertjax.sweep.linear_probe import score_linear
from bertjax.train import flops
from bertjax.trials.answers import write_right
from data_pipelines.rows.following import NEGATIVES, plan_pairs_that_follow
from data_pipelines.store.store import Store
from launch.run.reference_rows import SEQ_LENGTH, make_reference
from launch.run.stores import VALIDATION, open_stores
from launch.sweep.examples import Found

# Tokens of a pair at most.
_PAIR_LENGTH = 64
# The vectors that a linear classifier reads, side by side.
_POOLINGS = ("cls", "mean")
Measure = Callable[[BundleInfo], Found]


class FrozenProbe(NamedTuple):
  """What is measured of a frozen encoder.

  Attributes:
    wanted: whether a study asks for it.
    make: makes what measures a bundle; nothing is compiled before the first.
    flops: what that computes, for an encoder; fewer where there is less text.
  """

  wanted: Callable[[ProbesConfig], bool]
  make: Callable[[SweepConfig, Store], Measure]
  flops: Callable[[SweepConfig, ModelConfig], float]


def open_probe_store(config: SweepConfig) -> Store:
  """Open the store whose validation split all arms are probed on.

  Raises:
    ValueError: the store has no such split.
  """
  store = open_stores(config.pretrain).first
  if not (VALIDATION in store.splits and store.splits[VALIDATION].num_tokens):
    raise ValueError(
      f"{store.path} has no validation split for the probes; prepare it again "
      "with --validation=0.05, or leave them out with "
      "--config.probes.shared_rows=0 --config.probes.pairs=0"
    )
  return store


def probe_store_sha256(config: SweepConfig) -> dict[str, str]:
  """Return the hash of the text of the probes, by name, if there are any."""
  if not any(probe.wanted(config.probes) for probe in PROBES.values()):
    return {}
  return {"store": open_probe_store(config).sha256}


def shortest_rows(config: SweepConfig) -> int:
  """Return the length of rows that every arm of a study ends with."""
  return min(
    split_phases(study.pretrain_config(config, arm, config.seed))[
      -1
    ].config.data.seq_length
    for arm in config.arms
  )


def make_shared_rows(config: SweepConfig, store: Store) -> Measure:
  """Make the masked-LM loss and accuracy on rows of plain text.

  Such rows have no second segment: arms that were trained on pairs read them
  as they read a first one.
  """
  data = DataConfig(store=str(store.path), seq_length=_shared_length(config))
  reference = make_reference(
    store,
    data,
    config.probes.shared_rows,
    config.pretrain.evaluation.mask_rate,
  )
  mesh = make_mesh(MeshConfig(), jax.local_devices())
  programs: dict[ModelConfig, Callable[[Any], Mapping[str, float]]] = {}

  def measure(info: BundleInfo) -> Found:
    shape = _without_dropout(info.model)
    if shape not in programs:
      programs[shape] = make_masked_lm(reference, shape, mesh, ComputeConfig())
    params = jax.device_put(load_params(info), replicated(mesh))
    values = programs[shape](params)
    return Found(
      {f"shared_{name}": values[name] for name in ("mlm_loss", "mlm_accuracy")}
    )

  return measure


def make_pairs(config: SweepConfig, store: Store) -> Measure:
  """Make the linear probe: does B follow A?

  Raises:
    ValueError: the validation split has too few documents.
  """
  length = _pair_length(config)
  pairs = plan_pairs_that_follow(
    store, VALIDATION, pairs=config.probes.pairs, seq_length=length
  )
  programs: dict[ModelConfig, Any] = {}

  def measure(info: BundleInfo) -> Found:
    shape, params = _without_dropout(info.model), load_params(info)
    if shape not in programs:
      programs[shape] = embed_in_fixed_shapes(
        params, shape, _POOLINGS, seq_length=length
      )
    forward = programs[shape].with_params(encoder_params(params))
    found = forward.start(pairs.features).read()
    vectors_ND = np.concatenate([found[f"{p}_ND"] for p in _POOLINGS], axis=1)
    scores, right = {}, {}
    for negative in NEGATIVES:
      rows_N, label_N, part_N = pairs.rows(negative)
      score = score_linear(vectors_ND[rows_N], label_N, part_N)
      name = f"follows_{negative}_accuracy"
      scores[name] = score.accuracy
      # The pairs that follow, then the same with another second text: another
      # test set has other ones of both.
      right[name] = [*map(write_right, np.split(score.right_N, 2))]
    return Found(scores, right)

  return measure


def _shared_length(config: SweepConfig) -> int:
  return min(SEQ_LENGTH, shortest_rows(config))


def _pair_length(config: SweepConfig) -> int:
  return min(_PAIR_LENGTH, shortest_rows(config))


def _shared_flops(config: SweepConfig, model: ModelConfig) -> float:
  """Return the FLOPs of a forward pass over the rows, and of its head."""
  counts = flops.full_counts(config.probes.shared_rows, _shared_length(config))
  predictions = config.pretrain.evaluation.mask_rate * counts["tokens"]
  return flops.forward_flops(model, counts, predictions)


def _pair_flops(config: SweepConfig, model: ModelConfig) -> float:
  """Return the FLOPs of a forward pass over the pairs of both kinds."""
  # Half of the pairs of a kind follow, and those are the same in both.
  rows = config.probes.pairs // 2 * (1 + len(NEGATIVES))
  counts = flops.full_counts(rows, _pair_length(config))
  return flops.forward_flops(model, counts, predictions=0)


# The name of a field of `probes` → what it measures.
PROBES: Mapping[str, FrozenProbe] = {
  "shared_rows": FrozenProbe(
    lambda own: own.shared_rows > 0, make_shared_rows, _shared_flops
  ),
  "pairs": FrozenProbe(lambda own: own.pairs > 0, make_pairs, _pair_flops),
}


def make_probes(config: SweepConfig) -> dict[str, Measure]:
  """Make the probes that a study asks for, by their names.

  Raises:
    ValueError: the store has not the text for one.
  """
  wanted = {
    name: probe for name, probe in PROBES.items() if probe.wanted(config.probes)
  }
  if not wanted:
    return {}
  store = open_probe_store(config)
  return {name: probe.make(config, store) for name, probe in wanted.items()}


def _without_dropout(model: ModelConfig) -> ModelConfig:
  """Return a shape that rules out no kernel: dropout is never applied."""
  return dataclasses.replace(
    model, hidden_dropout_rate=0.0, attention_dropout_rate=0.0
  )
