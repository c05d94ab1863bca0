# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A fine-tuned model as a function of texts."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from bertjax.batch import Batch
from bertjax.config import ComputeConfig
from bertjax.finetune.artifact import FinetunedModel, load_finetuned
from bertjax.finetune.classifier import apply_in_fixed_shapes
from bertjax.finetune.fixed_shapes import bucket_lengths
from bertjax.finetune.task import Answer
from bertjax.finetune.words import predict_tags
from data_pipelines.tasks.choice_rows import given_choices
from data_pipelines.tokenizers import tokenizers
from launch import tasks
from launch.inference.checks import check_texts, total
from launch.inference.encoding import (
  Encoded,
  Texts,
  TextTokenizer,
  encoder_of,
)
from launch.inference.packed_rows import PackedRows
from launch.inference.records import Record, make_record
from launch.preflight.policy import DEFAULT

# Texts that are encoded together, for each row of the shortest bucket.
_ROWS = 64


class Outputs(Protocol):
  """Outputs that devices are computing."""

  def read(self) -> Batch:
    """Wait for the outputs; return them by window, in order."""
    ...


class Started(NamedTuple):
  """Examples whose outputs are being computed."""

  inputs: Encoded
  outputs: Outputs


class Tagged(NamedTuple):
  """The answers to an example, its words, and their tags."""

  answers: Sequence[Answer]
  words: tuple[str, ...]
  tags: tuple[str, ...]


class Predictor:
  """Answers texts with a fine-tuned model.

  It computes in rows of a few lengths, each of which is compiled once; see
  `bertjax.finetune.fixed_shapes`.

  Attributes:
    model: the model, its task and its head.
    forward: what computes the outputs.
  """

  def __init__(
    self,
    model: FinetunedModel,
    batch_size: int = 0,
    *,
    pack: bool = False,
    calibrate: bool = False,
  ) -> None:
    self.model = model
    self._temperature = _temperature(model) if calibrate else 1.0
    self.forward = apply_in_fixed_shapes(model, batch_size)
    self._packed = PackedRows(self.forward) if pack else None
    self._tokenizer = TextTokenizer(tokenizers.load(model.tokenizer_path))
    self._encode = encoder_of(model.task.name)

  def __call__(
    self,
    texts: Sequence[str],
    pairs: Sequence[str] | None = None,
    *,
    choices: Sequence[Sequence[str]] | None = None,
  ) -> list[Record]:
    """Return what `records.make_record` says of each text.

    Warns of texts that are cut, and of unknown tokens.

    Args:
      texts: texts to read; one that is too long for the model is read in
        windows, or loses its end where the model was trained on cut ones.
      pairs: the second text of each, for a model that reads pairs; for one that
        chooses, what all choices of a text begin with.
      choices: the choices of each text, for a model that chooses.

    Raises:
      ValueError: pairs or choices are missing, not asked for, or of another
        number; a text has fewer than two choices.
    """
    if isinstance(texts, str):
      raise ValueError(f"texts is the string {texts[:40]!r}; give a list")
    given = Texts(texts, pairs, choices)
    return [make_record(self.model.task, each) for each in self.answers(given)]

  def answers(self, texts: Texts) -> list[Sequence[Answer]]:
    """Return the answers of the task to each text, the likeliest first."""
    self.check(texts)
    size = _ROWS * self.forward.batch_size
    parts = [
      self.start(self.encode(texts.take(slice(first, first + size))))
      for first in range(0, len(texts), size)
    ]
    counted = total(part.inputs.encoded for part in parts)
    check_texts(counted, len(texts), self.model.head.seq_length, DEFAULT)
    return [answers for part in parts for answers in self.finish(part)]

  def check(self, texts: Texts) -> None:
    """Refuse texts of a form that the model does not read.

    Raises:
      ValueError: as `check_form`; each text has not its pair or its choices.
    """
    self.check_form(
      pairs=texts.pairs is not None, choices=texts.choices is not None
    )
    for name, given in (("pairs", texts.pairs), ("choices", texts.choices)):
      if given is not None and len(given) != len(texts):
        raise ValueError(
          f"{len(texts)} texts have {len(given)} {name}; give one for each text"
        )
    for row, choices in enumerate(texts.choices or ()):
      if isinstance(choices, str) or len(given_choices(choices)) < 2:
        raise ValueError(
          f"text {row} has the choices {choices!r}; give a list of two or more"
        )

  def check_form(self, *, pairs: bool, choices: bool = False) -> None:
    """Refuse second texts and choices that are missing or not read.

    Args:
      pairs: whether there are second texts.
      choices: whether there are choices.

    Raises:
      ValueError: the model does not read examples of this form.
    """
    name = self.model.head.name
    if self.model.task.compares:
      if not choices:
        raise ValueError(
          f"the model of {name} chooses among several texts; give them by "
          "--choice with --text, by --choice_columns with --input, or as "
          "`choices` in Python"
        )
      return
    if choices:
      raise ValueError(
        f"the model of {name} chooses nothing; leave out --choice and "
        "--choice_columns (`choices` in Python)"
      )
    if self.model.head.pair and not pairs:
      raise ValueError(
        f"the model of {name} reads pairs of texts; give the second ones by "
        "--text_pair with --text, by --text_pair_column with --input, or as "
        "`pairs` in Python"
      )
    if pairs and not self.model.head.pair:
      raise ValueError(
        f"the model of {name} reads single texts; leave out --text_pair and "
        "--text_pair_column (`pairs` in Python)"
      )

  def encode(self, texts: Texts) -> Encoded:
    """Return the windows of texts."""
    encoded = self._encode(self._tokenizer, self.model.head, texts)
    return dataclasses.replace(encoded, ids=texts.ids)

  def start(self, inputs: Encoded) -> Started:
    """Begin to compute."""
    forward = self._packed or self.forward
    return Started(inputs, forward.start(inputs.features))

  def finish(self, started: Started) -> Sequence[Sequence[Answer]]:
    """Wait for outputs; return the answers to each example."""
    return _answers(self, started, _read(started, self._temperature))

  def finish_words(self, started: Started) -> list[Tagged]:
    """Wait for the outputs of a tagger; return the tag of each word, too."""
    outputs = _read(started, self._temperature)
    inputs, labels = started.inputs, self.model.head.labels
    tags = predict_tags(outputs, inputs.windows(), labels)
    answers = _answers(self, started, outputs)
    return [
      Tagged(each, tuple(example.words), tuple(names))
      for each, example, names in zip(
        answers, inputs.examples, tags, strict=True
      )
    ]

  def describe_shapes(self) -> str:
    """Return which rows texts are computed in."""
    forward, seq_length = self.forward, self.model.head.seq_length
    if self._packed:
      return (
        f"texts share rows of {seq_length} tokens, {forward.rows(seq_length)} "
        "at once, compiled once"
      )
    shapes = (
      f"{n} tokens, {forward.rows(n)} at once"
      for n in bucket_lengths(seq_length)
    )
    return (
      "each text is padded to the next of these lengths, which is compiled "
      f"when the first text needs it: {'; '.join(shapes)}"
    )


def _read(started: Started, temperature: float) -> Batch:
  outputs = started.outputs.read()
  if temperature == 1:
    return outputs
  divisor = np.float64(temperature)
  return {  # the weights of windows stay as they are
    name: array if name == "attention_N" else array / divisor
    for name, array in outputs.items()
  }


def _answers(
  predictor: Predictor, started: Started, outputs: Batch
) -> Sequence[Sequence[Answer]]:
  windows, task = started.inputs.windows(), predictor.model.task
  if predictor._temperature != 1 and task.tuned:
    # What answers compare with logits is divided as these are.
    settings = windows.settings
    windows = windows.tuned(
      {
        name: settings[name] / predictor._temperature
        for name in task.tuned
        if name in settings
      }
    )
  return task.answers(
    outputs,
    windows,
    predictor.model.head.labels,
    predictor._tokenizer.tokens,
  )


def _temperature(model: FinetunedModel) -> float:
  if model.head.temperature is None:
    raise ValueError(
      f"the model of {model.head.name} has no temperature, which fine-tuning "
      "finds on dev where answers have probabilities; leave --calibrate out"
    )
  return model.head.temperature


def load_predictor(
  path: str | pathlib.Path,
  compute: ComputeConfig | None = None,
  *,
  batch_size: int = 0,
  pack: bool = False,
  calibrate: bool = False,
) -> Predictor:
  """Read a fine-tuned model and its tokenizer.

  Args:
    path: folder of its bundle.
    compute: how to compute; None is float32.
    batch_size: rows of 16 tokens that are computed at once; longer rows are
      fewer. 0 suits the devices. Another number may change the last bits.
    pack: whether several short texts share a row, which may change the last
      bits as well.
    calibrate: whether probabilities are those that dev says they should be,
      by the temperature that fine-tuning found.

  Raises:
    ValueError: `path` is no fine-tuned model, is damaged, or has no
      temperature where one is asked for.
  """
  model = load_finetuned(path, tasks.TASKS, compute)
  return Predictor(model, batch_size, pack=pack, calibrate=calibrate)
