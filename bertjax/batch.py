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
from collections.abc import Mapping

import numpy as np

Batch = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Feature:
  """One array of a batch: its axes in letters, and its dtype."""

  axes: str
  dtype: str


# What the encoder reads; pre-training and every fine-tuning task share it.
ENCODER_FEATURES: Mapping[str, Feature] = {
  "tokens_BS": Feature("BS", "int32"),
  "types_BS": Feature("BS", "int32"),  # 0 sentence A, 1 sentence B
  "positions_BS": Feature("BS", "int32"),  # restart at each packed example
  "packs_BS": Feature("BS", "int32"),  # 0 padding, 1..R the packed example
  "starts_BR": Feature("BR", "int32"),  # where each [CLS] stands
}

PRETRAINING_FEATURES: Mapping[str, Feature] = {
  **ENCODER_FEATURES,
  # -1 none; nsp: 0 next, 1 random; sop: 0 in order, 1 swapped.
  "pair_label_BR": Feature("BR", "int32"),
  # A hash of store, epoch and example id: the key of the example's masks.
  "key_BR2": Feature("BR2", "uint32"),
}

# One target record a task. `weight_B` is 1 for a real row, 0 for padding.
CLASSIFICATION_FEATURES: Mapping[str, Feature] = {
  **ENCODER_FEATURES,
  "label_B": Feature("B", "int32"),
  "weight_B": Feature("B", "float32"),
}


@dataclasses.dataclass(frozen=True)
class Vocabulary:
  """What follows from the vocabulary alone; handed to the step once.

  Attributes:
    pad_id, unk_id, cls_id, sep_id, mask_id: ids of the special pieces.
    special_V: bool, pieces that are never masked and never drawn.
    continues_V: bool, pieces that continue the word before them.
    ordinary_W: int32, ids that a random replacement is drawn from: neither
      special nor an unused slot.
    log_unigram_V: float32, natural log of the add-one-smoothed share of each
      piece in the training split, or None where no split was counted.
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
    """Number of pieces; an embedding table may be larger, never smaller."""
    return len(self.special_V)


def empty_batch(
  features: Mapping[str, Feature], sizes: Mapping[str, int]
) -> Batch:
  """Zeros for every feature (`pair_label_BR`: -1), given each letter's size."""
  batch = {}
  for name, feature in features.items():
    shape = tuple(
      int(axis) if axis.isdigit() else sizes[axis] for axis in feature.axes
    )
    batch[name] = np.zeros(shape, feature.dtype)
  if "pair_label_BR" in batch:
    batch["pair_label_BR"][...] = -1
  return batch


def check_batch(
  batch: Mapping[str, np.ndarray], features: Mapping[str, Feature]
) -> None:
  """Raise a `ValueError` where `batch` breaks the contract of `features`."""
  if batch.keys() != features.keys():
    raise ValueError(
      f"batch has {sorted(batch)}; the contract is {sorted(features)}"
    )
  sizes: dict[str, int] = {}
  for name, feature in features.items():
    array = batch[name]
    if str(array.dtype) != feature.dtype:
      raise ValueError(f"{name} is {array.dtype}; give {feature.dtype}")
    if array.ndim != len(feature.axes):
      raise ValueError(
        f"{name} has shape {array.shape}; its axes are {feature.axes}"
      )
    for axis, size in zip(feature.axes, array.shape, strict=True):
      known = int(axis) if axis.isdigit() else sizes.setdefault(axis, size)
      if size != known:
        raise ValueError(f"{name} has {size} along {axis}; others have {known}")
