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
from data_pipelines.tasks import question_answering, tagging
from data_pipelines.tasks.features import EncodedTexts, encode_texts
from data_pipelines.tasks.squad import Question
from data_pipelines.tokenizers.tokenizer import Tokenizer


class TextTokenizer:
  """A tokenizer whose tables over the vocabulary are made once.

  They take longer than a short text.
  """

  def __init__(self, tokenizer: Tokenizer) -> None:
    self.pad_id, self.cls_id = tokenizer.pad_id, tokenizer.cls_id
    self.sep_id, self.tokens = tokenizer.sep_id, tokenizer.tokens
    self.encode = tokenizer.encode
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
  """

  encoded: EncodedTexts
  owner_N: np.ndarray
  examples: Sequence[Any] = ()
  settings: Mapping[str, float] = dataclasses.field(default_factory=dict)

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
      windows.by_window(rows, places),
      places.length_N,
      self.owner_N,
      self.examples,
      settings=self.settings,
    )


# (tokenizer, head, texts, second texts or None) → windows.
Encode = Callable[
  [TextTokenizer, Head, Sequence[str], Sequence[str] | None], Encoded
]


def encode_rows(
  tokenizer: TextTokenizer,
  head: Head,
  texts: Sequence[str],
  pairs: Sequence[str] | None,
) -> Encoded:
  """Encode each example as one window, or as several where it is longer.

  It is cut instead where the model was trained on cut ones.
  """
  stride = int(head.settings.get("stride", 0))
  encoded = encode_texts(tokenizer, texts, pairs, head.seq_length, stride)
  return Encoded(encoded, encoded.owner_N, settings=head.settings)


def encode_words(
  tokenizer: TextTokenizer,
  head: Head,
  texts: Sequence[str],
  pairs: Sequence[str] | None,
) -> Encoded:
  """Split texts into words, and encode these; nothing is cut."""
  del pairs
  stride = int(head.settings.get("stride", TaskConfig.stride))
  encoded = tagging.encode_raw(tokenizer, texts, head.seq_length, stride)
  return Encoded(
    encoded.rows, encoded.rows.owner_N, encoded.examples, head.settings
  )


def encode_questions(
  tokenizer: TextTokenizer,
  head: Head,
  texts: Sequence[str],
  pairs: Sequence[str] | None,
) -> Encoded:
  """Encode questions, and their contexts as the second texts."""
  assert pairs is not None  # the head reads pairs
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
    for question, context in zip(texts, pairs, strict=True)
  ]
  encoded = question_answering.encode_questions(
    tokenizer, questions, head.seq_length, settings
  )
  return Encoded(encoded.rows, encoded.rows.owner_N, encoded.examples, settings)


# By the name of the task; the others have `encode_rows`.
ENCODERS: Mapping[str, Encode] = {
  "tagging": encode_words,
  "question_answering": encode_questions,
}


def encoder_of(task: str) -> Encode:
  """Return how a task reads texts."""
  return ENCODERS.get(task, encode_rows)
