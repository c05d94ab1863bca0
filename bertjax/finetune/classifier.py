# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A fine-tuned classifier as a function of arrays."""

import dataclasses
import pathlib
from typing import Any

import numpy as np

from bertjax.batch import ENCODER_FEATURES, Batch, check_batch
from bertjax.config import ComputeConfig
from bertjax.finetune import artifact, scores, separate_layers
from bertjax.finetune.artifact import FinetunedModel
from bertjax.finetune.classification import TASK
from bertjax.finetune.fixed_shapes import FixedShapes
from bertjax.objectives.task import Features


@dataclasses.dataclass(frozen=True)
class Classified:
  """What a classifier says of some rows.

  Attributes:
    labels: the likeliest class of each row.
    probabilities_NC: float64, in the order of `Classifier.labels`.
  """

  labels: tuple[str, ...]
  probabilities_NC: np.ndarray


class Classifier:
  """Classifies rows of tokens, compiled once for each of a few lengths.

  Attributes:
    labels: name of each class.
    seq_length: the longest row.
    tokenizer_path: folder of the files of the tokenizer that makes the tokens.
  """

  def __init__(self, model: FinetunedModel, batch_size: int = 0) -> None:
    self.labels = model.head.labels
    self.seq_length = model.head.seq_length
    self.tokenizer_path = model.tokenizer_path
    self._forward = apply_in_fixed_shapes(model, batch_size)

  def __call__(self, features: Batch) -> Classified:
    """Classify rows.

    Args:
      features: `bertjax.batch.ENCODER_FEATURES`, one example a row (R = 1).

    Raises:
      ValueError: other arrays, or a row that is empty or too long.
    """
    check_batch(features, ENCODER_FEATURES)
    if features["starts_BR"].shape[1] != 1:
      raise ValueError(
        f"rows have {features['starts_BR'].shape[1]} packs; give one example a "
        "row"
      )
    if not len(features["tokens_BS"]):
      return Classified((), np.zeros((0, len(self.labels))))
    outputs = self._forward.start(features).read()
    probabilities_NC = scores.probabilities(outputs["logits_NC"])
    return Classified(
      tuple(self.labels[int(i)] for i in probabilities_NC.argmax(axis=1)),
      probabilities_NC,
    )


def load_classifier(
  path: str | pathlib.Path,
  compute: ComputeConfig | None = None,
  batch_size: int = 0,
) -> Classifier:
  """Read a classifier that `launch.finetune` wrote.

  Args:
    path: folder of its bundle.
    compute: how to compute; None is float32.
    batch_size: as `FixedShapes` takes it.

  Raises:
    ValueError: `path` is not a bundle, is damaged, or has another task.
  """
  model = artifact.load_finetuned(path, {TASK.name: TASK}, compute)
  return Classifier(model, batch_size)


def apply_in_fixed_shapes(
  model: FinetunedModel, batch_size: int = 0
) -> FixedShapes:
  """Return what computes the outputs of a fine-tuned model."""
  module, params = model.model, model.params
  if separate_layers.helps():
    params = separate_layers.separate(params)
    module = module.clone(
      compute=separate_layers.unrolled(module.compute, module.config.num_layers)
    )

  def outputs(params: Any, rows: Features) -> Any:
    stacked = separate_layers.stack(params)
    return module.apply({"params": stacked}, rows, deterministic=True)

  return FixedShapes(
    outputs,
    params,
    model.head.seq_length,
    batch_size,
  )
