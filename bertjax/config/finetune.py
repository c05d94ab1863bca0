# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A labeled task, and how an encoder is fine-tuned on it."""

import dataclasses
from typing import Annotated, Any, Literal

from bertjax.config.fields import (
  Above,
  AtLeast,
  AtMost,
  Before,
  Below,
  Positive,
  Rate,
  ReadWhen,
  Seed,
  Share,
)
from bertjax.config.model import ComputeConfig, MeshConfig
from bertjax.config.optimizer import FinetuneOptimizerConfig

HeldOut = Annotated[float, Above(0), Below(1)]
# The tasks of GLUE that have labels to learn from; "" is none of them.
GlueName = Literal[
  "", "cola", "sst2", "mrpc", "stsb", "qqp", "mnli", "qnli", "rte", "wnli"
]


# How a path begins that is the name of a data set of TFDS or of the hub.
HUBS = ("tfds:", "hf:")
# How else a path ends that is read row by row, with named columns.
_ROWS = (".jsonl", ".parquet")


def is_rows(path: str) -> bool:
  """Return whether words with tags, or questions, are rows behind a path.

  Otherwise they are in the files of the tasks that they come from: columns of
  CoNLL, and the JSON of SQuAD.
  """
  return path.startswith(HUBS) or path.lower().endswith(_ROWS)


def _is_table(task: Any) -> bool:
  return task.kind == "table"


def _has_paths(task: Any) -> bool:
  return task.kind in {"table", "conll", "squad"}


def _has_spans(task: Any) -> bool:
  return task.kind in {"conll", "squad"}


_OfTable = ReadWhen("{}kind=table", lambda own, _: _is_table(own))
_OfGlue = ReadWhen("{}kind=glue", lambda own, _: own.kind == "glue")
_OfFolder = ReadWhen(
  "{0}kind=glue or {0}kind=clinc150",
  lambda own, _: own.kind in {"glue", "clinc150"},
)
_OfFiles = ReadWhen(
  "another {0}kind than stdlib", lambda own, _: own.kind != "stdlib"
)


def _paths(task: Any) -> list[str]:
  return [path for path in (task.train, task.dev, task.test) if path]


_OfColumns = ReadWhen(
  "{0}kind=conll, and a file that is neither .jsonl nor .parquet",
  lambda own, _: (
    own.kind == "conll" and not all(map(is_rows, _paths(own) or [""]))
  ),
)
_OfTaggedRows = ReadWhen(
  "{0}kind=conll, and a file in .jsonl or .parquet, or tfds:… or hf:…",
  lambda own, _: own.kind == "conll" and any(map(is_rows, _paths(own))),
)
_OfSquad = ReadWhen("{}kind=squad", lambda own, _: own.kind == "squad")
_OfPaths = ReadWhen(
  "{0}kind=table, {0}kind=conll or {0}kind=squad",
  lambda own, _: _has_paths(own),
)
_OfClasses = ReadWhen(
  "{0}target=label, and not with {0}kind=conll or {0}kind=squad",
  lambda own, _: own.target == "label" and not _has_spans(own),
)
_OfStdlib = ReadWhen("{}kind=stdlib", lambda own, _: own.kind == "stdlib")


_OfChoices = ReadWhen(
  "{0}kind=table and {0}target=choice",
  lambda own, _: _is_table(own) and own.target == "choice",
)


def _has_header(task: Any, _: Any) -> bool:
  return _is_table(task) and task.train.endswith((".csv", ".tsv", ".txt"))


def _draws(task: Any, _: Any) -> bool:
  has_test = task.test or not task.test_rate
  held_out = _has_paths(task) and not (task.dev and has_test)
  return held_out or task.labels_per_class > 0


@dataclasses.dataclass(frozen=True)
class TaskConfig:
  """The labeled texts of a task, and how many of them are trained on."""

  kind: Literal["stdlib", "table", "glue", "clinc150", "conll", "squad"] = (
    "stdlib"
  )
  # The task of GLUE.
  name: Annotated[GlueName, _OfGlue] = ""
  # The folder of the task's original files, or of the folders of all tasks of
  # GLUE, which may also be tfds:glue/NAME or hf:NAME:CONFIG.
  folder: Annotated[str, _OfFolder] = ""
  # Tables: paths of .csv, .tsv, .txt (as .tsv), .jsonl or .parquet files, or
  # tfds:NAME:SPLIT and hf:NAME[:CONFIG]:SPLIT. Without `dev` or `test`, a share
  # of the texts of every label (`dev_rate`, `test_rate`) is held out of train.
  # So is a share of the sentences of a file of CoNLL, and of the contexts of
  # SQuAD's JSON; both are read from rows (.jsonl, .parquet, tfds:, hf:), too.
  train: Annotated[str, _OfPaths] = ""
  dev: Annotated[str, _OfPaths] = ""
  test: Annotated[str, _OfPaths] = ""
  # Names of columns; text_pair="" is for single texts.
  text: Annotated[str, _OfTable] = "text"
  text_pair: Annotated[str, _OfTable] = ""
  label: Annotated[str, _OfTable] = "label"
  # What the column `label` holds: the class of a text, any number of classes
  # with `separator` between them, a score to predict (regression), or which of
  # the texts in `choices` goes with `text`: its number from 0, or its column.
  target: Annotated[Literal["label", "labels", "score", "choice"], _OfTable] = (
    "label"
  )
  separator: Annotated[
    str,
    ReadWhen(
      "{0}kind=table and {0}target=labels",
      lambda own, _: _is_table(own) and own.target == "labels",
    ),
  ] = ","
  # The columns of the choices, or one column of lists. `text_pair` is what they
  # all begin with: SWAG has text=sent1, text_pair=sent2 and
  # choices=ending0,ending1,ending2,ending3.
  choices: Annotated[str, _OfChoices] = ""
  # The most choices of an example. `seq_length` is the length of each.
  num_choices: Annotated[int, AtLeast(2), AtMost(32), _OfChoices] = 4
  # Texts that are longer than `seq_length` lose their end ("cut"), or are read
  # in windows whose logits are averaged ("mean") or of which the largest count
  # ("max"). Training takes each window with the label of its text and an equal
  # share of its weight. "attention" learns which windows count: their logits
  # are averaged with weights, in training, too. All windows of a text, at most
  # 32, then stand in one row, which is longer: that needs more memory. The
  # windows of a choice are pooled in training with every value, so that those
  # of all choices of an example stand in one row. Files of CoNLL and of SQuAD
  # always have windows.
  long_texts: Annotated[
    Literal["cut", "mean", "max", "attention"],
    ReadWhen(
      "another {0}kind than conll or squad",
      lambda own, _: not _has_spans(own),
    ),
  ] = "cut"
  # Tokens from the start of a window to that of the next one.
  stride: Annotated[
    int,
    AtLeast(1),
    ReadWhen(
      "{0}long_texts=mean, max or attention, or with {0}kind=conll or "
      "{0}kind=squad",
      lambda own, _: own.long_texts != "cut" or _has_spans(own),
    ),
  ] = 64
  # Names of all columns, as "a,b,c", where the files have no header line
  # (CoLA).
  header: Annotated[
    str,
    ReadWhen("{0}kind=table and a {0}train in .csv, .tsv or .txt", _has_header),
  ] = ""
  dev_rate: Annotated[
    HeldOut,
    ReadWhen(
      "{0}kind=table, conll or squad, and no {0}dev",
      lambda own, _: _has_paths(own) and not own.dev,
    ),
  ] = 0.1
  # 0 without `test` scores dev alone.
  test_rate: Annotated[
    Rate,
    ReadWhen(
      "{0}kind=table, conll or squad, and no {0}test",
      lambda own, _: _has_paths(own) and not own.test,
    ),
  ] = 0.2
  # The label of rows without one, beside the empty label; such rows are errors
  # unless the whole test table has no label. "" knows the empty one only, and
  # so does "-1" where labels are scores.
  unlabeled: Annotated[str, _OfTable] = "-1"
  # Leave out and count rows that cannot be used; otherwise the first of them
  # is an error.
  skip_bad_rows: Annotated[bool, _OfFiles] = False
  # Files of CoNLL: the columns of words and tags, from 0; -1 is the last one.
  word_column: Annotated[int, AtLeast(-1), _OfColumns] = 0
  tag_column: Annotated[int, AtLeast(-1), _OfColumns] = -1
  # Rows with a list of words and a list of their tags: names of the columns.
  words: Annotated[str, _OfTaggedRows] = "tokens"
  tags: Annotated[str, _OfTaggedRows] = "ner_tags"
  # Tokens that a question is cut to, and the most tokens of an answer.
  max_question_length: Annotated[int, AtLeast(1), _OfSquad] = 64
  max_answer_length: Annotated[int, AtLeast(1), _OfSquad] = 30
  # The classes are this many packages of the standard library, largest first.
  num_packages: Annotated[int, AtLeast(2), _OfStdlib] = 12
  # Training examples of each class; 0 takes all.
  labels_per_class: Annotated[
    int,
    AtLeast(0),
    _OfClasses,
  ] = 0
  # "balanced" weighs a training example by the inverse of how often its class
  # occurs, or a word by that of its tag, so that every class has the same
  # weight in all. Of several labels, a yes counts as many times as there are
  # texts without the label for each one with it: torch's pos_weight.
  class_weights: Annotated[
    Literal["none", "balanced"],
    ReadWhen(
      "{0}target=label or {0}target=labels, and not with {0}kind=squad",
      lambda own, _: own.target in {"label", "labels"} and own.kind != "squad",
    ),
  ] = "none"
  # Seed of the choice of held-out rows and of training examples.
  seed: Annotated[
    Seed,
    ReadWhen(
      "{0}labels_per_class above 0, or with {0}kind=table, conll or squad and "
      "no {0}dev or no {0}test",
      _draws,
    ),
  ] = 0


@dataclasses.dataclass(frozen=True)
class LossConfig:
  """Other losses than the plain cross-entropy; each task reads some of them."""

  # Share of the target that all classes divide (Szegedy et al., 2016,
  # "Rethinking the Inception architecture", section 7).
  label_smoothing: Rate = 0.0
  # Exponent of the focal loss, which looks away from answers that are right
  # already (Lin et al., 2017, "Focal loss for dense object detection").
  focal_exponent: Annotated[float, AtLeast(0)] = 0.0


@dataclasses.dataclass(frozen=True)
class LayersConfig:
  """How the layers of a pre-trained encoder move; the default is freely.

  Few labels train a large encoder unsteadily (Zhang et al., 2020, "Revisiting
  few-sample BERT fine-tuning").
  """

  # Learning rate of a layer, relative to the layer above it.
  learning_rate_decay: Annotated[float, Above(0), AtMost(1)] = 1.0
  # The lowest layers, and the embeddings with them, stay as they are. No
  # gradient is computed for them.
  frozen: Annotated[int, AtLeast(0)] = 0
  # The embeddings alone stay as they are.
  frozen_embeddings: Annotated[
    bool, ReadWhen("{}frozen=0", lambda own, _: not own.frozen)
  ] = False
  # The highest layers, and the pooler, start from random parameters.
  reinitialized: Annotated[int, AtLeast(0)] = 0
  # Share of the steps until all layers are trained: first the head alone, then
  # one layer more at a time, from the top.
  unfreezing_rate: Share = 0.0


@dataclasses.dataclass(frozen=True)
class FinetuneConfig:
  """One task, several learning rates on dev, several seeds on test."""

  steps: Annotated[int, AtLeast(0)] = 0  # 0 trains for `epochs`
  # Not refused beside `steps`: an overlay sets it, and stored runs have both.
  epochs: Annotated[float, AtLeast(0)] = 3.0
  batch_size: Annotated[int, AtLeast(1)] = 32
  evaluation_batch_size: Annotated[int, AtLeast(1)] = 128
  # Evaluations on dev, evenly spread over the steps; the last is after all.
  evaluations: Annotated[int, AtLeast(1)] = 4
  # A run ends after this many evaluations without a better one; 0 never does.
  patience: Annotated[int, AtLeast(0)] = 0
  # Steps after which a run is saved, so that it goes on after a kill; 0 saves
  # it where a signal stops it.
  checkpoint_steps: Annotated[int, AtLeast(0)] = 500
  seq_length: Annotated[int, AtLeast(1)] = 128
  # The input of the head: the vector of [CLS], or the mean over all tokens.
  pooling: Literal["cls", "mean"] = "cls"
  learning_rates: tuple[Positive, ...] = (5e-5, 1e-4, 3e-4)
  warmup_rate: Rate = 0.1  # share of the steps
  seed: Seed = 0  # seed of the first run; the others count up from it
  seeds: Annotated[int, AtLeast(1)] = 5
  # Runs of each learning rate; the mean of their scores on dev chooses it.
  selection_seeds: Annotated[int, AtLeast(1)] = 1
  # Runs that one program trains at once, side by side. 0 is one on CPUs, which
  # gain nothing from more, and as many as fit on other devices. Results differ
  # by rounding alone. Dropout of compute.dropout_rng=rbg, which depends on the
  # runs beside a run, takes one at a time.
  runs_at_once: Annotated[int, AtLeast(0)] = 0
  # The score on dev that chooses the learning rate and the checkpoint; "" is
  # the first one of the task.
  metric: Annotated[str, Before("accuracy")] = ""
  # Whether a row holds several short texts, so that no padding is paid for.
  pack: Annotated[bool, Before(False)] = True
  hidden_dropout_rate: Rate = 0.1
  attention_dropout_rate: Rate = 0.1
  loss: LossConfig = LossConfig()
  layers: LayersConfig = LayersConfig()
  task: TaskConfig = TaskConfig()
  # `learning_rates` and `warmup_rate` complete the optimizer.
  optimizer: FinetuneOptimizerConfig = FinetuneOptimizerConfig()
  mesh: MeshConfig = MeshConfig()
  compute: ComputeConfig = ComputeConfig()
