# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What a fine-tuning task is, and what it asks of its data.

Programs, splits, trials, experiments and artifacts serve every task, because
they know a task only as a `FinetuneTask`. To add one, write its file here
(`classification.py` is an example) and its reader in `data_pipelines/tasks`,
give the reader a kind in `bertjax.config.TaskConfig`, and join both in
`launch/tasks.py`.

The reader makes the encoder's features and an array for each name in
`FinetuneTask.targets`, one row for each window (`windows.py`).
`bertjax.batch.check_batch` compares them with that declaration before anything
is compiled. A row may hold several windows, and zeros are padding: every loss
multiplies by a weight of the target record, which is 0 there. A target that is
a position counts from the [CLS] of its window: a loss adds `starts_BR`.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from bertjax.batch import ENCODER_FEATURES, Batch, Feature
from bertjax.finetune.error_analysis import ErrorAnalysis
from bertjax.finetune.scores import ClassCounts
from bertjax.finetune.scores.calibration import Answered
from bertjax.finetune.windows import Windows
from bertjax.interop.architectures import CLASSIFICATION
from bertjax.interop.outputs import SINGLE_LABEL, Outputs
from bertjax.objectives.metrics import Metrics

# Scores of a split by name; "loss" is one of them.
Scores = Mapping[str, float]
# The cells of one line of a prediction, such as (label, probability).
Answer = tuple[Any, ...]


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class FinetuneTask:
  """A kind of fine-tuning task.

  Its outputs are what the model returns, {name: array}. A name ends in the
  axes, such as `logits_BRC` for a vector of each window, or `logits_BSC` for a
  vector of each token. Scores and answers see outputs and targets by window:
  `logits_NC`, `label_N` (`windows.py`).

  Attributes:
    name: name of the task, as the artifact records it.
    verb: value of `launch.predict --task` that asks for this task.
    architecture: class of transformers with the same head. Which parameters a
      head has, and that they are made anew, `model/parameters.py` says.
    problem_type: what transformers calls a classification of sequences, one of
      `interop.outputs.PROBLEM_TYPES`; "" for other architectures.
    pools: whether the model reads `pooling`.
    compares: whether an example is several texts of which one is right.
    targets: the target record, {name of an array: axes and dtype}.
    make_model: (encoder config, compute config, num_labels=, pooling=) → the
      module that maps encoder features to outputs.
    coefficients: {name of a loss: its factor in the total}.
    weights: global batch → the weight that divides each of `coefficients`.
    losses: (outputs, batch, **options) → {name: (sum, weight)}; names beyond
      `coefficients` are only reported.
    loss_options: the fields of `LossConfig` that `losses` takes as options.
    scores: (outputs, windows) of a whole split on the host → its scores.
    count_classes: (outputs, windows) → counts of each class; None where outputs
      are not classes.
    class_logits: (outputs, windows) → `logits_NC` and `labels_N`, whose
      probabilities may be calibrated; None where there are none.
    candidates: (outputs, windows) → the answers and what they were chosen
      among, whose probabilities may be calibrated; None where `class_logits`
      has them, or there are none.
    metrics: the scores that may select parameters on dev. Larger is better.
      Studies report the first one.
    macro_leaves_out: whether macro F1 leaves out a class that is neither a
      label nor a prediction, or counts it as 0.
    columns: {header of a result table: (split, score)}.
    answer_columns: headers of the cells of an answer.
    answers: (outputs, windows, labels, tokens) on the host → for each example
      its answers, the likeliest first. `tokens` has the text of every token id.
    analyze: (outputs, windows) → the worst answers and what a report draws of
      all of them; None where a report has nothing but scores.
    tuned: scores of dev that scores of test and answers depend on, as
      `Windows.settings`; the record of the head keeps them. They are compared
      with logits: what divides logits divides them, too.
    class_names: labels → names of what `count_classes` counts.
    by_example: (outputs, windows) → columns of one value for each example, from
      which scores of resampled examples follow (`trials/resampling.py`); None
      where no score but accuracy does.
    is_degenerate: (scores, outputs, windows) of dev → whether the answers say
      nothing of the texts, though they are finite. None where counts of classes
      or correlations tell, as `degenerate_seeds` reads them.
  """

  name: str
  verb: str
  architecture: str
  problem_type: str = ""
  pools: bool
  targets: Mapping[str, Feature]
  make_model: Callable[..., nn.Module]
  coefficients: Mapping[str, float]
  weights: Callable[[Mapping[str, jax.Array]], Mapping[str, jax.Array]]
  losses: Callable[..., Metrics]
  scores: Callable[[Batch, Windows], Scores]
  count_classes: Callable[[Batch, Windows], ClassCounts] | None
  metrics: tuple[str, ...]
  columns: Mapping[str, tuple[str, str]]
  answer_columns: tuple[str, ...]
  answers: Callable[
    [Batch, Windows, Sequence[str], Sequence[str]], Sequence[Sequence[Answer]]
  ]
  loss_options: tuple[str, ...] = ()
  compares: bool = False
  macro_leaves_out: bool = True
  class_logits: (
    Callable[[Batch, Windows], tuple[np.ndarray, np.ndarray]] | None
  ) = None
  candidates: Callable[[Batch, Windows], Answered] | None = None
  analyze: Callable[[Batch, Windows], ErrorAnalysis] | None = None
  tuned: tuple[str, ...] = ()
  class_names: Callable[[Sequence[str]], tuple[str, ...]] = tuple
  by_example: Callable[[Batch, Windows], Mapping[str, np.ndarray]] | None = None
  is_degenerate: Callable[[Scores, Batch, Windows], bool] | None = None

  @property
  def features(self) -> Mapping[str, Feature]:
    """The arrays of a batch: the encoder's features and the target record."""
    return {**ENCODER_FEATURES, **self.targets}

  def answered(self, outputs: Batch, windows: Windows) -> Answered | None:
    """Return what may be calibrated; None where nothing has a probability."""
    if self.class_logits is not None:
      return Answered.of_classes(*self.class_logits(outputs, windows))
    return self.candidates and self.candidates(outputs, windows)


@dataclasses.dataclass(frozen=True)
class Head:
  """The head of a fine-tuned model, as its bundle records it.

  Attributes:
    name: name of the data.
    labels: name of each class; empty where outputs are not classes.
    pooling: how an example becomes one vector; "" where nothing is pooled.
    seq_length: tokens that an example is truncated to.
    pair: whether an example is a pair of texts.
    architecture: class of transformers with the same head.
    task: name of the `FinetuneTask`. It is "" in records that are older than
      the field and in imported models; they have the first task of their
      architecture.
    problem_type: as of the task. It is "" for other architectures than that of
      classification, and in older records of a single label.
    temperature: what to divide logits by for calibrated probabilities, as dev
      has it; None where answers have no probabilities, and in older records.
      Nothing divides by it unless it is asked to.
    settings: numbers that answers depend on, such as the stride of windows;
      those of the data, and those that dev has tuned.
  """

  name: str
  labels: tuple[str, ...]
  pooling: str
  seq_length: int
  pair: bool
  architecture: str = "BertForSequenceClassification"
  task: str = ""
  problem_type: str = ""
  settings: Mapping[str, float] = dataclasses.field(default_factory=dict)
  temperature: float | None = None

  @property
  def outputs(self) -> Outputs:
    """What the outputs mean, also of an older record."""
    problem_type = self.problem_type
    if self.architecture == CLASSIFICATION:
      problem_type = problem_type or SINGLE_LABEL
    return Outputs(tuple(self.labels), problem_type)


def rank(scores: Scores, metric: str) -> tuple[float, float]:
  """Return a key that is larger for better scores; the loss breaks ties."""
  return scores[metric], -scores["loss"]
