# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Warnings about a store, with what to do about them."""

from collections.abc import Iterator, Mapping
from typing import Any

from launch.reports.page import format_number, format_share

# Limits above which (for `_FILLED` below which) a warning is shown. Books and
# encyclopedias with a vocabulary of their own are far from all of them.
_UNKNOWN_RATE = 0.01
_FERTILITY = 2.0
_NEVER = 0.25
_RANDOM = 0.55
_FILLED = 0.8


def find_notes(numbers: Mapping[str, Any]) -> Iterator[str]:
  """Yield a warning for each unusual number of `store_numbers.collect`."""
  train = numbers["splits"]["train"]
  if "validation" not in numbers["splits"]:
    yield (
      "There is no validation split, so that a run on this store cannot be "
      "evaluated on unseen text. Prepare it again with --validation=0.05."
    )
  if train["documents"] < 2:
    yield (
      "There is only one training document, so that next-sentence prediction "
      "is impossible: a random partner needs a second document. Set "
      "objective.next_sentence=off, or prepare more documents."
    )
  yield from _vocabulary_notes(numbers, train)
  yield from _row_notes(numbers)


def _vocabulary_notes(
  numbers: Mapping[str, Any], train: Mapping[str, Any]
) -> Iterator[str]:
  if train["unknown_rate"] > _UNKNOWN_RATE:
    yield (
      f"{format_share(train['unknown_rate'])} of the tokens are unknown: the "
      "vocabulary lacks words or letters of this text. Learn a vocabulary from "
      "it with --tokenizer=wordpiece, or extend this one with --extend_vocab."
    )
  if train["fertility"] > _FERTILITY:
    yield (
      f"A word has {format_number(train['fertility'])} tokens on average: the "
      "vocabulary is small, or comes from another domain or language. Learn a "
      "larger one with --vocab_size, or extend it with --extend_vocab."
    )
  vocabulary = numbers["vocabulary"]
  never = vocabulary["never"] / max(vocabulary["ordinary"], 1)
  if never > _NEVER:
    yield (
      f"{format_share(never)} of the tokens of the vocabulary never occur in "
      "the training text, so that their embeddings are not trained. Learn a "
      "smaller vocabulary with --vocab_size, or one from this text."
    )


def _row_notes(numbers: Mapping[str, Any]) -> Iterator[str]:
  random = max((pair["expected"] for pair in numbers["pairs"]), default=0.0)
  if random > _RANDOM:
    yield (
      f"Up to {format_share(random)} of the pairs for next-sentence prediction "
      "are random, because many examples have only one sentence left: the "
      "objective has little to learn. Compare with objective.next_sentence=off."
    )
  filled = min(form["efficiency"] for form in numbers["formats"])
  if filled < _FILLED:
    yield (
      f"In one input format only {format_share(filled)} of the positions hold "
      "tokens; the rest is padding. See the table of rows below before you "
      "choose a sequence length."
    )
