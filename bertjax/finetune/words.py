# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Where the words of texts are read, and which labels are likeliest there."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from bertjax.batch import Batch
from bertjax.finetune.windows import Windows


class Words(Protocol):
  """What is asked of an example.

  Attributes:
    text: the text.
    words: its words.
    offsets_W2: the first character of each word, and the one after its last.
    window_W: the window of the text in which each word counts.
    place_W: the position of its first token in that window.
  """

  text: str
  words: Sequence[str]
  offsets_W2: np.ndarray
  window_W: np.ndarray
  place_W: np.ndarray


class Places(NamedTuple):
  """Where the words of all examples are read, one after the other.

  Attributes:
    window_W: numbers of windows.
    place_W: positions in them.
    stop_E: the word after the last one of each example.
  """

  window_W: np.ndarray
  place_W: np.ndarray
  stop_E: np.ndarray


def find_words(windows: Windows) -> Places:
  """Return where the words of all examples are read."""
  examples: Sequence[Words] = windows.examples
  first_E = np.searchsorted(windows.owner_N, np.arange(len(examples)))
  return Places(
    np.concatenate(
      [each.window_W + n for n, each in zip(first_E, examples, strict=True)]
    ),
    np.concatenate([each.place_W for each in examples]),
    np.cumsum([len(each.words) for each in examples]),
  )


def predict_tags(
  outputs: Batch, windows: Windows, labels: Sequence[str]
) -> list[list[str]]:
  """Return the likeliest label of each word of each example."""
  places = find_words(windows)
  tags_W = outputs["logits_NSC"][places.window_W, places.place_W].argmax(axis=1)
  return divide_labels(tags_W, places, labels)


def divide_labels(
  ids_W: np.ndarray, places: Places, labels: Sequence[str]
) -> list[list[str]]:
  """Return the labels of the words of each example."""
  bounds = itertools.pairwise((0, *places.stop_E))
  return [[labels[int(tag)] for tag in ids_W[a:b]] for a, b in bounds]
