# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What stands out in a store, in a sentence each, and what can be done."""

from collections.abc import Iterator, Mapping
from typing import Any

from launch.reports.page import format_number, format_share

# From here on something is worth a sentence; books and encyclopaedias with a
# vocabulary of their own are well below each.
_UNKNOWN_RATE = 0.01
_FERTILITY = 2.0
_NEVER = 0.25
_RANDOM = 0.55
_FILLED = 0.8


def find_notes(numbers: Mapping[str, Any]) -> Iterator[str]:
  """Sentences for the numbers of `store_numbers.collect`."""
  train = numbers["splits"]["train"]
  if "validation" not in numbers["splits"]:
    yield (
      "There is no validation split: a run on this store cannot be evaluated "
      "on text that it has not seen."
    )
  if train["documents"] < 2:
    yield (
      "There is one training document, and none to draw a random partner from: "
      "next-sentence prediction is impossible."
    )
  yield from _of_vocabulary(numbers, train)
  yield from _of_rows(numbers)


def _of_vocabulary(
  numbers: Mapping[str, Any], train: Mapping[str, Any]
) -> Iterator[str]:
  if train["unknown_rate"] > _UNKNOWN_RATE:
    yield (
      f"{format_share(train['unknown_rate'])} of the tokens are unknown: the "
      "vocabulary lacks words or letters of this text. Learn or extend one."
    )
  if train["fertility"] > _FERTILITY:
    yield (
      f"Words are cut into {format_number(train['fertility'])} pieces: the "
      "vocabulary is small for this text, or of another domain or language."
    )
  vocabulary = numbers["vocabulary"]
  never = vocabulary["never"] / max(vocabulary["ordinary"], 1)
  if never > _NEVER:
    yield (
      f"{format_share(never)} of the pieces never occur in the training text: "
      "their embeddings stay as they are initialised."
    )


def _of_rows(numbers: Mapping[str, Any]) -> Iterator[str]:
  random = max((pair["expected"] for pair in numbers["pairs"]), default=0.0)
  if random > _RANDOM:
    yield (
      f"Up to {format_share(random)} of nsp's pairs are random, since many "
      "examples have only one sentence left: next-sentence prediction has "
      "little to learn from here."
    )
  filled = min(form["efficiency"] for form in numbers["formats"])
  if filled < _FILLED:
    yield (
      f"In one format only {format_share(filled)} of the positions are filled; "
      "see the rows below before choosing a length."
    )
