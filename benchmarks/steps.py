# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Train steps of made-up rows, for benchmarks that need no store.

The step is the one that `launch.pretrain` runs: masking, forward, backward,
clipping, the optimizer, dropout.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from bertjax import optim
from bertjax.batch import (
  PRETRAINING_FEATURES,
  Batch,
  Vocabulary,
  empty_batch,
)
from bertjax.config import (
  ComputeConfig,
  MeshConfig,
  ModelConfig,
  ObjectiveConfig,
  OptimizerConfig,
)
from bertjax.model import BertForPreTraining
from bertjax.objectives import masking, pretraining
from bertjax.objectives.task import Task
from bertjax.parallel.mesh import make_mesh
from bertjax.train import state, step

SPECIALS = 5
_CLS, _SEP = 2, 3
# More steps than any benchmark takes.
_SCHEDULE_STEPS = 1_000_000


def make_vocabulary(size: int) -> Vocabulary:
  """Return five special tokens and others, a third of which continue a word."""
  return Vocabulary(
    pad_id=0,
    unk_id=1,
    cls_id=_CLS,
    sep_id=_SEP,
    mask_id=4,
    special_V=np.arange(size) < SPECIALS,
    continues_V=(np.arange(size) % 3 == 0) & (np.arange(size) >= SPECIALS),
    ordinary_W=np.arange(SPECIALS, size).astype(np.int32),
  )


def make_batch(
  vocab_size: int,
  seq_length: int,
  lengths: Sequence[Sequence[int]],
  seed: int = 0,
) -> Batch:
  """Return rows of packed examples [CLS] A [SEP] B [SEP] of random tokens.

  Args:
    vocab_size: tokens of the vocabulary.
    seq_length: positions of a row.
    lengths: the tokens of each example, row by row, 5 or more.
    seed: of the draws.
  """
  draw = np.random.default_rng(seed)
  packs = max(map(len, lengths))
  sizes = {"B": len(lengths), "S": seq_length, "R": packs}
  batch = empty_batch(PRETRAINING_FEATURES, sizes)
  for row, examples in enumerate(lengths):
    start = 0
    for pack, length in enumerate(examples):
      tokens = draw.integers(SPECIALS, vocab_size, length)
      tokens[0] = _CLS
      tokens[[length // 2, -1]] = _SEP
      here = slice(start, start + length)
      batch["tokens_BS"][row, here] = tokens
      batch["types_BS"][row, start + length // 2 + 1 : start + length] = 1
      batch["positions_BS"][row, here] = np.arange(length)
      batch["packs_BS"][row, here] = pack + 1
      batch["starts_BR"][row, pack] = start
      batch["pair_label_BR"][row, pack] = draw.integers(0, 2)
      batch["key_BR2"][row, pack] = draw.integers(0, 2**32, 2)
      start += length
  return batch


def make_task(
  model: ModelConfig,
  compute: ComputeConfig,
  objective: ObjectiveConfig,
  slots: int,
) -> Task:
  """Return the task of `launch.pretrain` over the made-up vocabulary."""
  return pretraining.pretraining_task(
    BertForPreTraining(model, compute),
    objective,
    make_vocabulary(model.vocab_size),
    slots=slots,
  )


def make_train_step(
  model: ModelConfig,
  task: Task,
  seq_length: int,
  optimizer: OptimizerConfig | None = None,
  options: step.StepOptions | None = None,
) -> tuple[Any, Any, jax.sharding.Mesh]:
  """Return a fresh train state, its jitted step, and a mesh of one device."""
  settings = optimizer or OptimizerConfig()
  made = optim.make_optimizer(
    settings, optim.make_schedule(settings, _SCHEDULE_STEPS)
  )
  mesh = make_mesh(MeshConfig(), jax.devices()[:1])
  init = functools.partial(
    pretraining.init_params, BertForPreTraining(model), seq_length
  )
  fresh = state.make_state(init, made, mesh, seed=0)
  jitted = step.make_train_step(
    task, made, mesh, fresh, options or step.StepOptions()
  )
  return fresh, jitted, mesh


def full_rows(rows: int, seq_length: int) -> list[list[int]]:
  """Return the lengths of rows that hold one full example each."""
  return [[seq_length] for _ in range(rows)]


def mixed_rows(rows: int, seq_length: int) -> list[list[int]]:
  """Return the lengths of full rows, packed as Wikipedia is at 512 tokens.

  Half of the rows hold one example, the others three, cut at random. So 25 % of
  the examples have the full length, the mean is 256 and the mean square 98,304;
  NVIDIA's Wikipedia has 23.4 %, 255.8 and 98,826 (Graphcore, packedBERT,
  histograms.py).
  """
  draw = np.random.default_rng(0)
  packed = full_rows(rows // 2, seq_length)
  free = seq_length - 3 * SPECIALS  # an example has five tokens or more
  for _ in range(rows - len(packed)):
    first, second = sorted(draw.integers(0, free + 1, 2).tolist())
    cut = (first, second - first, free - second)
    packed.append([SPECIALS + each for each in cut])
  return packed


def slots_for(seq_length: int, packs: int) -> int:
  """Return the prediction slots of a row at BERT's mask rate."""
  return masking.num_slots(seq_length, packs, ObjectiveConfig().mask_rate)


def without_dropout(model: ModelConfig, *, hidden: bool = True) -> ModelConfig:
  """Return `model` without dropout of attention weights, and of the rest."""
  rate = 0.0 if hidden else model.hidden_dropout_rate
  return dataclasses.replace(
    model, hidden_dropout_rate=rate, attention_dropout_rate=0.0
  )
