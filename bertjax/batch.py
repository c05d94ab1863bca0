# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""THE contract between data and model: names, shapes and dtypes.

Axis letters, suffixed to every array of rank >= 1 and used in every einsum:
B rows, S sequence, T sequence attended to, P prediction slots, R packed
examples a row, D width, H heads, K per-head width, F feed-forward width,
V vocabulary, C classes, L layers. A trailing digit is an axis of that size.

A row holds up to R packed examples. An empty pack has start 0, label -1 and
weight 0; a row is real if any of its packs is. With R = 1 this is the classic
BERT row. Nothing here imports JAX.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

Batch = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Feature:
  """One array of a batch.

  Attributes:
    axes: a letter for each axis.
    dtype: its dtype.
    empty: its value in an empty pack or a row of padding.
  """

  axes: str
  dtype: str
  empty: int = 0


# Read by the encoder, in pre-training and in every fine-tuning task.
ENCODER_FEATURES: Mapping[str, Feature] = {
  "tokens_BS": Feature("BS", "int32"),
  "types_BS": Feature("BS", "int32"),  # 0 sentence A, 1 sentence B
  "positions_BS": Feature("BS", "int32"),  # restart at each packed example
  "packs_BS": Feature("BS", "int32"),  # 0 padding, 1..R the packed example
  "starts_BR": Feature("BR", "int32"),  # where each [CLS] stands
}

PRETRAINING_FEATURES: Mapping[str, Feature] = {
  **ENCODER_FEATURES,
  # -1 no label; else a class, named in `config.PAIR_CLASSES`.
  "pair_label_BR": Feature("BR", "int32", empty=-1),
  # A hash of store, epoch and example id: the key of the example's masks.
  "key_BR2": Feature("BR2", "uint32"),
}


@dataclasses.dataclass(frozen=True)
class Vocabulary:
  """Tables over the vocabulary, which are constants of the step.

  Attributes:
    pad_id, unk_id, cls_id, sep_id, mask_id: ids of the special tokens.
    special_V: bool, tokens that are never masked and never drawn.
    continues_V: bool, tokens that continue the word before them.
    ordinary_W: int32, ids that a random replacement is drawn from: neither
      special nor unused.
    log_unigram_V: float32, natural log of the add-one-smoothed share of each
      token in the training split, or None if no split was counted.
  """

  pad_id: int
  unk_id: int
  cls_id: int
  sep_id: int
  mask_id: int
  special_V: np.ndarray
  continues_V: np.ndarray
  ordinary_W: np.ndarray
  log_unigram_V: np.ndarray | None = None

  @property
  def size(self) -> int:
    """The number of tokens; an embedding table has at least as many rows."""
    return len(self.special_V)


class Shape(NamedTuple):
  """A size of the batches of a run.

  Attributes:
    rows: rows of a batch.
    packs: packs of a row.
    multiple: the number of rows is a multiple of this.
  """

  rows: int
  packs: int
  multiple: int = 1

  def enlarged(self, rows: int) -> "Shape":
    """Return a shape with this many rows, in steps of an eighth.

    Each size is compiled, so that there are few.
    """
    if rows <= self.rows:
      return self
    step = -(-self.rows // (8 * self.multiple)) * self.multiple
    return self._replace(rows=self.rows + -(-(rows - self.rows) // step) * step)


class EvaluationBatch(NamedTuple):
  """A batch of a split, and what stands in it.

  Attributes:
    arrays: the batch.
    window_BR: int64, the number of the window in each pack; -1 in an empty one.
  """

  arrays: Batch
  window_BR: np.ndarray


class SplitData(Protocol):
  """The examples of a split of a fine-tuning task.

  An example is read as one window, or as several where it is longer than a row.
  A window is what stands in one pack.

  Attributes:
    owners_N: int64, the number of the example that each window belongs to,
      ascending.
    length_N: int64, the tokens of each window.
    examples: what scores and answers need of each example beyond arrays, such
      as its text; empty where they need nothing.
  """

  owners_N: np.ndarray
  length_N: np.ndarray
  examples: Sequence[Any]

  def __len__(self) -> int:
    """Return the number of examples."""
    ...

  @property
  def num_windows(self) -> int:
    """The number of windows."""
    ...

  @property
  def num_drawn(self) -> int:
    """How many draws an epoch has: windows, or examples drawn as a whole."""
    ...

  def sha256(self) -> str:
    """Return a hash of every window, in order."""
    ...

  def shapes(
    self,
    *,
    batch_size: int,
    seeds: Sequence[int],
    steps: int,
    multiple: int,
    compile_rows: float,
  ) -> tuple[Shape, ...]:
    """Return the few sizes of the training batches of these seeds, ascending.

    Args:
      batch_size: draws of a batch.
      seeds: seeds of the runs.
      steps: number of steps of a run.
      multiple: the number of rows is a multiple of this.
      compile_rows: how many full rows take as long to train on as a step takes
        to compile: a further size must save more of them in a run.
    """
    ...

  def training(
    self,
    *,
    seed: int,
    step: int,
    batch_size: int,
    shapes: Sequence[Shape] = (),
  ) -> Batch:
    """Return the training batch of a step: `batch_size` draws.

    It has the first of the shapes that it fits in; where it fits in none, it
    has more rows than the last. Without shapes, every draw has a row.
    """
    ...

  def evaluation(
    self, batch_size: int, multiple: int = 1
  ) -> Iterator[EvaluationBatch]:
    """Yield batches of one size that have every window once.

    Args:
      batch_size: largest number of rows of a batch.
      multiple: the number of rows is a multiple of this, which divides
        `batch_size`.
    """
    ...


@dataclasses.dataclass(frozen=True)
class TaskData:
  """The data of a fine-tuning task, ready for a model.

  Attributes:
    name: name of the data, such as the stem of a file's name.
    labels: name of each class; empty where outputs are not classes.
    pair: whether an example is a pair of texts.
    splits: "train", "dev" and, unless it has no labels, "test".
    settings: numbers that a model of these data must be used with, such as the
      stride of its windows; the record of its head keeps them.
    first_bias: the bias of each output that a head starts with, such as the
      mean score; empty for zeros.
  """

  name: str
  labels: tuple[str, ...]
  pair: bool
  splits: Mapping[str, SplitData]
  settings: Mapping[str, float] = dataclasses.field(
    default_factory=dict, kw_only=True
  )
  first_bias: tuple[float, ...] = dataclasses.field(default=(), kw_only=True)


def empty_batch(
  features: Mapping[str, Feature], sizes: Mapping[str, int]
) -> Batch:
  """Return empty packs: `Feature.empty` everywhere.

  Args:
    features: {name: feature}.
    sizes: {axis letter: size}.
  """
  batch = {}
  for name, feature in features.items():
    shape = tuple(
      int(axis) if axis.isdigit() else sizes[axis] for axis in feature.axes
    )
    batch[name] = np.full(shape, feature.empty, feature.dtype)
  return batch


def check_batch(
  batch: Mapping[str, Any], features: Mapping[str, Feature]
) -> None:
  """Check the arrays of a batch, concrete or traced, against the contract.

  Raises:
    ValueError: other names, a dtype, a rank, or a size that does not match.
  """
  if batch.keys() != features.keys():
    raise ValueError(f"the batch has {sorted(batch)}; give {sorted(features)}")
  sizes: dict[str, int] = {}
  for name, feature in features.items():
    array = batch[name]
    if str(array.dtype) != feature.dtype:
      raise ValueError(f"{name} is {array.dtype}; give {feature.dtype}")
    if array.ndim != len(feature.axes):
      raise ValueError(
        f"{name} has the shape {array.shape}; give the axes {feature.axes}"
      )
    for axis, size in zip(feature.axes, array.shape, strict=True):
      known = int(axis) if axis.isdigit() else sizes.setdefault(axis, size)
      if size != known:
        raise ValueError(f"{name} has size {size} along {axis}; give {known}")
