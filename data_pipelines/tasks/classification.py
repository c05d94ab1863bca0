# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Labeled texts, their splits and subsamples, read as rows."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from bertjax.config import TaskConfig
from data_pipelines.tasks.batches import (
  MeasuredData,
  ReadTask,
  RowOptions,
  TaskBatches,
)
from data_pipelines.tasks.features import (
  EncodedTexts,
  Tokenizer,
  encode_texts,
)
from data_pipelines.tasks.figures import (
  SplitFigures,
  TableFigures,
  TaskFigures,
  alike_labels,
  count_numeric,
  joined_labels,
  measure_scores,
)
from data_pipelines.tasks.packing import MAX_PACKS
from data_pipelines.tasks.sliding import pooling_settings
from data_pipelines.tasks.splits import (
  TextKey,
  count_contradicting,
  count_shared,
  subsample,
  text_keys,
)
from data_pipelines.tasks.targets import count_by_class, most_labels


@dataclasses.dataclass(frozen=True)
class LabeledTexts:
  """Texts, or pairs of texts, and a label for each.

  Attributes:
    texts: one string for each example.
    pairs: the second text of each example, or None for single texts.
    labels_N: what each example is labeled with: int32, the number of its
      class; bool with a second axis, one for each class; or float32, a score.
  """

  texts: tuple[str, ...]
  pairs: tuple[str, ...] | None
  labels_N: np.ndarray

  def __len__(self) -> int:
    return len(self.texts)

  @property
  def examples(self) -> tuple[tuple[str, ...], ...]:
    """The text or the two texts of each example."""
    sides = [self.texts] if self.pairs is None else [self.texts, self.pairs]
    return tuple(zip(*sides, strict=True))

  def take(self, indices: Sequence[int] | np.ndarray) -> "LabeledTexts":
    """Return the examples at `indices`, in that order."""
    return LabeledTexts(
      tuple(self.texts[i] for i in indices),
      None if self.pairs is None else tuple(self.pairs[i] for i in indices),
      self.labels_N[np.asarray(indices, np.int64)],
    )


@dataclasses.dataclass(frozen=True)
class Classification:
  """The names of the classes, and splits of labeled texts.

  Attributes:
    name: name of the data.
    labels: name of each class, or of the score.
    train: examples to learn from.
    dev: examples that choose parameters.
    test: examples that are only scored; None if none have labels.
    table: what was found while tables were read.
    alone: whether there is only a test split, which stands in for the others.
  """

  name: str
  labels: tuple[str, ...]
  train: LabeledTexts
  dev: LabeledTexts
  test: LabeledTexts | None
  table: TableFigures = dataclasses.field(default_factory=TableFigures)
  alone: bool = False

  @property
  def splits(self) -> dict[str, LabeledTexts]:
    """The splits that there are, by name."""
    splits = {"train": self.train, "dev": self.dev}
    if self.alone and self.test is not None:
      return {"test": self.test}
    return splits if self.test is None else {**splits, "test": self.test}


def make_reader(
  load: Callable[[TaskConfig], Classification],
) -> ReadTask:
  """Return the reader of labeled texts that `load` returns.

  It trains on `labels_per_class` examples of each class. Dev and test stay
  whole, so that scores for different numbers of labels can be compared.
  """

  def read(
    config: TaskConfig, tokenizer: Tokenizer, rows: RowOptions
  ) -> MeasuredData:
    loaded = load(config)
    _check_classes(config, loaded.train.labels_N)
    chosen = subsample(
      loaded.train.labels_N, config.labels_per_class, config.seed
    )
    loaded = dataclasses.replace(loaded, train=loaded.train.take(chosen))
    settings = pooling_settings(config)
    stride = int(settings.get("stride", 0))
    attends = config.long_texts == "attention"
    encoded = {
      name: encode_texts(
        tokenizer, split.texts, split.pairs, rows.seq_length, stride
      )
      for name, split in loaded.splits.items()
    }
    return MeasuredData(
      name=loaded.name,
      labels=loaded.labels,
      pair=loaded.train.pairs is not None,
      splits={
        name: TaskBatches(
          encoded[name].features,
          _targets_of_windows(
            split.labels_N,
            encoded[name].owner_N,
            balanced=name == "train" and config.class_weights == "balanced",
            attends=attends,
          ),
          owners_N=encoded[name].owner_N,
          # The report shows texts of the splits that are scored.
          examples=() if name == "train" else split.examples,
          pack=rows.pack,
          # Other splits are pooled after all of their outputs are known.
          together=_most_windows(encoded[name].owner_N)
          if attends and name == "train"
          else 0,
        )
        for name, split in loaded.splits.items()
      },
      settings=settings,
      first_bias=_first_bias(loaded.train.labels_N),
      figures=_figures(loaded, encoded, divides=stride > 0),
    )

  return read


def _first_bias(labels_N: np.ndarray) -> tuple[float, ...]:
  """Return the mean of scores, and nothing for classes."""
  if not np.issubdtype(labels_N.dtype, np.floating):
    return ()
  return (float(labels_N.mean(dtype=np.float64)),)


def _most_windows(owner_W: np.ndarray) -> int:
  """Return the most windows of a text, all of which stand in one row."""
  most = int(np.bincount(owner_W).max(initial=1))
  if most > MAX_PACKS:
    raise ValueError(
      f"a text of train has {most} windows, and task.long_texts='attention' "
      f"pools {MAX_PACKS} or fewer; give a larger --config.seq_length or "
      "--config.task.stride, or --config.task.long_texts=mean"
    )
  return most


def _figures(
  loaded: Classification, encoded: Mapping[str, EncodedTexts], *, divides: bool
) -> TaskFigures:
  train = loaded.splits.get("train")
  keys = text_keys(train.texts, train.pairs) if train else ()
  return TaskFigures(
    labels=loaded.labels,
    alike_labels=alike_labels(loaded.labels),
    joined_labels=joined_labels(loaded.labels),
    numeric_labels=count_numeric(loaded.labels),
    table=loaded.table,
    splits={
      name: _measure(
        split,
        encoded[name],
        () if name == "train" else keys,
        len(loaded.labels),
        divides=divides,
      )
      for name, split in loaded.splits.items()
    },
  )


def _measure(
  split: LabeledTexts,
  encoded: EncodedTexts,
  train_keys: Sequence[TextKey],
  num_classes: int,
  *,
  divides: bool,
) -> SplitFigures:
  keys = text_keys(split.texts, split.pairs)
  labels_N = split.labels_N
  scores = measure_scores(labels_N)
  return SplitFigures(
    examples=len(split),
    cut=encoded.cut,
    empty=encoded.empty,
    shared=count_shared(keys, train_keys),
    # Two people rarely give a text the same score.
    contradicting=0 if scores else count_contradicting(keys, labels_N),
    tokens=encoded.tokens,
    unknown=encoded.unknown,
    words=encoded.words,
    by_class=count_by_class(labels_N, num_classes),
    scores=scores,
    most_labels=most_labels(labels_N),
    windows=len(encoded.owner_N) if divides else 0,
  )


def _targets_of_windows(
  labels_N: np.ndarray,
  owner_W: np.ndarray,
  *,
  balanced: bool,
  attends: bool,
) -> dict[str, np.ndarray]:
  """Return a target record for windows: that of the text, in equal shares.

  With `attends`, `first_BR` marks the first window of each text.
  """
  weight_N = 1 / np.bincount(owner_W, minlength=len(labels_N))
  targets = make_targets(labels_N[owner_W])
  if balanced and labels_N.ndim == 2:
    # Counted by text, not by window.
    targets["weight_BRC"] = balance_answers(labels_N)[owner_W][:, None]
  elif balanced:
    weight_N = weight_N * balance(labels_N)
  if attends:
    is_first_W = np.diff(owner_W, prepend=-1) > 0
    targets["first_BR"] = is_first_W[:, None].astype(np.int32)
  weight_BR = weight_N[owner_W][:, None].astype(np.float32)
  return {**targets, "weight_BR": weight_BR}


def _check_classes(config: TaskConfig, labels_N: np.ndarray) -> None:
  """Refuse fields that need classes, or one for each text, without them."""
  has_scores = np.issubdtype(labels_N.dtype, np.floating)
  default = TaskConfig()
  refused = []
  if has_scores:
    refused.append(("class_weights", "texts with classes", "scores"))
  if has_scores or labels_N.ndim > 1:
    wrong = "scores or several labels"
    refused.append(("labels_per_class", "texts of one class each", wrong))
  for name, needed, found in refused:
    value = getattr(config, name)
    if value != getattr(default, name):
      raise ValueError(
        f"task.{name}={value!r} is for {needed}, and these have {found}; give "
        f"{getattr(default, name)!r}"
      )


def balance(labels_N: np.ndarray) -> np.ndarray:
  """Return weights of a mean of 1 that are equal in all for every class."""
  counts_C = np.bincount(labels_N)
  return len(labels_N) / (np.count_nonzero(counts_C) * counts_C[labels_N])


def balance_answers(labels_NC: np.ndarray) -> np.ndarray:
  """Return the weight of each yes and no, float32, shaped as the labels.

  A yes has the number of examples without its label for each one with it, as
  the `pos_weight` of `torch.nn.BCEWithLogitsLoss` is meant, so that yes and no
  have the same weight in all. A no has 1; so has a yes of a label that every
  example has.
  """
  yes_C = np.count_nonzero(labels_NC, axis=0)
  no_C = len(labels_NC) - yes_C
  ratio_C = np.where(no_C > 0, no_C / np.maximum(yes_C, 1), 1)
  return np.where(labels_NC, ratio_C, 1).astype(np.float32)


def make_targets(labels_N: np.ndarray) -> dict[str, np.ndarray]:
  """Return the target record of examples that have a row each.

  Args:
    labels_N: as `LabeledTexts` has them.
  """
  weight_BR = np.ones((len(labels_N), 1), np.float32)
  if labels_N.ndim == 2:
    label_BRC = labels_N[:, None].astype(np.float32)
    return {
      "label_BRC": label_BRC,
      "weight_BRC": np.ones_like(label_BRC),
      "weight_BR": weight_BR,
    }
  if np.issubdtype(labels_N.dtype, np.floating):
    score_BR = labels_N[:, None].astype(np.float32)
    return {"score_BR": score_BR, "weight_BR": weight_BR}
  label_BR = labels_N[:, None].astype(np.int32)
  return {"label_BR": label_BR, "weight_BR": weight_BR}
