# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""From the texts of rows to the windows that a model reads."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from bertjax.batch import Batch, Vocabulary
from bertjax.config import TaskConfig
from bertjax.finetune import windows
from bertjax.finetune.task import Head
from bertjax.finetune.windows import Windows
from data_pipelines.tasks import choices as choices_reader
from data_pipelines.tasks import question_answering, tagging
from data_pipelines.tasks.choice_rows import (
  encode_choices,
  given_choices,
  join_start,
  mark_first,
)
from data_pipelines.tasks.features import EncodedTexts, encode_texts
from data_pipelines.tasks.squad import Question
from data_pipelines.tokenizers.tokenizer import Tokenizer


class TextTokenizer:
  """A tokenizer whose tables over the vocabulary are made once.

  They take longer than a short text.
  """

  def __init__(self, tokenizer: Tokenizer) -> None:
    self.pad_id, self.tokens = tokenizer.pad_id, tokenizer.tokens
    self.template = tokenizer.template
    self.encode, self.after_space = tokenizer.encode, tokenizer.after_space
    self.encode_with_offsets = tokenizer.encode_with_offsets
    self._vocabulary = tokenizer.vocabulary()

  def vocabulary(self) -> Vocabulary:
    """Return tables over the vocabulary."""
    return self._vocabulary


@dataclasses.dataclass(frozen=True)
class Encoded:
  """Windows of some examples.

  Attributes:
    encoded: a row for each window, and what was counted.
    owner_N: the example of each window, ascending.
    examples: what answers need of each example beyond arrays.
    settings: those of the head.
    targets: arrays of the target record that answers read, with the same rows.
    ids: what the file calls each example; empty where it calls none anything.
  """

  encoded: EncodedTexts
  owner_N: np.ndarray
  examples: Sequence[Any] = ()
  settings: Mapping[str, float] = dataclasses.field(default_factory=dict)
  targets: Batch = dataclasses.field(default_factory=dict)
  ids: Sequence[str] = ()

  @property
  def features(self) -> Batch:
    """The rows of the windows."""
    return self.encoded.features

  def windows(self) -> Windows:
    """Return the windows, for the task's answers."""
    rows = self.features
    number_N = np.arange(len(rows["tokens_BS"]))
    places = windows.find(
      rows["packs_BS"], rows["starts_BR"], number_N[:, None]
    )
    return Windows(
      windows.by_window({**rows, **self.targets}, places),
      places.length_N,
      self.owner_N,
      self.examples,
      settings=self.settings,
    )


@dataclasses.dataclass(frozen=True)
class Texts:
  """The texts of some examples.

  Attributes:
    texts: the text of each; for choices, what all of them go with.
    pairs: the second text of each, or what all of its choices begin with; None
      where there are none.
    choices: the choices of each, "" for one that it lacks; None where nothing
      is chosen.
    words: the words of each, where others have divided it; None divides it.
    ids: what the file calls each; empty where it calls none anything.
  """

  texts: Sequence[str]
  pairs: Sequence[str] | None = None
  choices: Sequence[Sequence[str]] | None = None
  words: Sequence[Sequence[str]] | None = None
  ids: Sequence[str] = ()

  def __len__(self) -> int:
    return len(self.texts)

  def take(self, part: slice) -> "Texts":
    """Return some of the examples."""
    return Texts(
      self.texts[part],
      None if self.pairs is None else self.pairs[part],
      None if self.choices is None else self.choices[part],
      None if self.words is None else self.words[part],
      self.ids[part],
    )


# (tokenizer, head, texts) → windows.
Encode = Callable[[TextTokenizer, Head, Texts], Encoded]


def encode_rows(tokenizer: TextTokenizer, head: Head, texts: Texts) -> Encoded:
  """Encode each example as one window, or as several where it is longer.

  It is cut instead where the model was trained on cut ones.
  """
  stride = int(head.settings.get("stride", 0))
  encoded = encode_texts(
    tokenizer, texts.texts, texts.pairs, head.seq_length, stride
  )
  return Encoded(encoded, encoded.owner_N, settings=head.settings)


def encode_words(tokenizer: TextTokenizer, head: Head, texts: Texts) -> Encoded:
  """Split texts into words, and encode these; nothing is cut."""
  stride = int(head.settings.get("stride", TaskConfig.stride))
  length = head.seq_length
  if texts.words is None:
    encoded = tagging.encode_raw(tokenizer, texts.texts, length, stride)
  else:
    divided = [(*tagging.join_words(words), words) for words in texts.words]
    encoded = tagging.encode_words(tokenizer, divided, length, stride)
  return Encoded(
    encoded.rows, encoded.rows.owner_N, encoded.examples, head.settings
  )


def encode_questions(
  tokenizer: TextTokenizer, head: Head, texts: Texts
) -> Encoded:
  """Encode questions, and their contexts as the second texts."""
  assert texts.pairs is not None  # the head reads pairs
  # An imported model has no settings.
  settings = {
    "stride": TaskConfig.stride,
    "max_question_length": min(
      TaskConfig.max_question_length, head.seq_length // 2
    ),
    **head.settings,
  }
  questions = [
    Question(question, context)
    for question, context in zip(texts.texts, texts.pairs, strict=True)
  ]
  encoded = question_answering.encode_questions(
    tokenizer, questions, head.seq_length, settings
  )
  return Encoded(encoded.rows, encoded.rows.owner_N, encoded.examples, settings)


def encode_choosing(
  tokenizer: TextTokenizer, head: Head, texts: Texts
) -> Encoded:
  """Encode each choice as a window: its context, and the choice as a pair.

  One that is too long has several windows, or is cut where the model was
  trained on cut ones.
  """
  assert texts.choices is not None  # the task compares them
  starts = texts.pairs or [""] * len(texts)
  given = [
    join_start(start, [choices[number] for number in given_choices(choices)])
    for start, choices in zip(starts, texts.choices, strict=True)
  ]
  stride = int(head.settings.get("stride", 0))
  encoded = encode_choices(
    tokenizer, texts.texts, given, head.seq_length, stride
  )
  examples = [
    choices_reader.Question(context, tuple(choices), -1)
    for context, choices in zip(texts.texts, texts.choices, strict=True)
  ]
  return Encoded(
    encoded,
    encoded.owner_N,
    examples,
    head.settings,
    {"first_BR": mark_first(encoded)},
  )


# By the name of the task; the others have `encode_rows`.
ENCODERS: Mapping[str, Encode] = {
  "tagging": encode_words,
  "question_answering": encode_questions,
  "multiple_choice": encode_choosing,
}


def encoder_of(task: str) -> Encode:
  """Return how a task reads texts."""
  return ENCODERS.get(task, encode_rows)
