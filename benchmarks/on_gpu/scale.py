# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The sizes that the jobs measure: those of a GPU, and tiny ones for a test."""

import dataclasses
from typing import NamedTuple

from bertjax.config import SIZES, ModelConfig
from configs.families import FAMILIES


class Workload(NamedTuple):
  """A model and rows, as `large-512`.

  Attributes:
    name: what the results call it.
    model: shape of the model.
    seq_length: positions of a row.
    rows: rows of a batch to begin with.
  """

  name: str
  model: ModelConfig
  seq_length: int
  rows: int


@dataclasses.dataclass(frozen=True)
class Scale:
  """Sizes of all jobs.

  Attributes:
    matrix: rows and columns of the matrices of a product.
    copied: bytes of the array that is copied.
    workloads: the train steps that are measured, the most telling first; the
      second is a small model, on which other jobs run as well.
    lengths: positions of the rows that attention kernels are compared on.
    learning_steps: steps of the run that has to learn.
    learning_rate: its peak rate.
    largest: the batch is doubled up to this many rows, or to the memory's edge.
    budget: seconds that a figure may take, beside compiling.
  """

  matrix: int
  copied: int
  workloads: tuple[Workload, ...]
  lengths: tuple[int, ...]
  learning_steps: int
  learning_rate: float
  largest: int
  budget: float


_LARGE, _BASE = (
  # A multiple of 128, as a run pads its vocabulary.
  dataclasses.replace(SIZES[name], vocab_size=30592)
  for name in ("large", "base")
)
_MODERN = FAMILIES["modernbert"]
# As published, with the vocabulary of the other workloads, so that the head
# costs the same.
_MODERN_BASE = ModelConfig(
  **{**_MODERN.choices, **_MODERN.sizes["base"], "vocab_size": 30592}
)
_SMALLEST = ModelConfig(
  num_layers=1,
  hidden_size=64,
  num_heads=2,
  intermediate_size=128,
  vocab_size=32,
  max_positions=32,
)
_TINY = Workload("tiny-32", _SMALLEST, 32, 8)
_TINY_MODERN = ModelConfig(
  **{
    **_MODERN.choices,
    "num_layers": 2,
    "hidden_size": 64,
    "num_heads": 2,
    "intermediate_size": 64,
    "vocab_size": 32,
    "attention_window": 8,
  }
)
SCALES = {
  "card": Scale(
    matrix=8192,
    copied=2**31,
    workloads=(
      Workload("large-512", _LARGE, 512, 32),
      Workload("base-128", _BASE, 128, 256),
      Workload("modernbert-base-512", _MODERN_BASE, 512, 64),
      Workload("base-512", _BASE, 512, 64),
      Workload("large-128", _LARGE, 128, 128),
    ),
    lengths=(512, 128, 384, 130, 131),
    learning_steps=300,
    learning_rate=2e-4,
    largest=1024,
    budget=2.0,
  ),
  "tiny": Scale(
    matrix=64,
    copied=2**16,
    workloads=(
      _TINY,
      _TINY,
      Workload("tiny-modernbert-32", _TINY_MODERN, 32, 8),
    ),
    lengths=(32,),
    learning_steps=80,
    learning_rate=2e-3,
    largest=16,
    budget=0.02,
  ),
}
