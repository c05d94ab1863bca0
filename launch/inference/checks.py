# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Tell what a model does not read of the texts that it is given."""

import logging
from collections.abc import Iterable

from data_pipelines.tasks.features import EncodedTexts
from launch.preflight.policy import Policy
from launch.preflight.settle import settle
from launch.preflight.task import FINETUNE_LONGER, judge_texts


def check_texts(
  encoded: EncodedTexts,
  texts: int,
  seq_length: int,
  policy: Policy,
  fix: str = FINETUNE_LONGER,
) -> None:
  """Warn of texts that are cut, also of a single one, and of unknown tokens.

  Args:
    encoded: what was counted in the texts.
    texts: number of texts.
    seq_length: tokens of a row.
    policy: limits of the checks.
    fix: what the user can do about texts that are cut.

  Raises:
    ValueError: `policy` makes one of them a failure.
  """
  findings = judge_texts(encoded, texts, seq_length, policy, fix)
  settle(findings, policy)
  for finding in findings:
    if finding.level == "pass" and finding.figure:
      logging.warning("%s", finding.text)  # a cut text is always told


def total(parts: Iterable[EncodedTexts]) -> EncodedTexts:
  """Return what was counted in all parts, without their features."""
  cut = empty = tokens = unknown = words = questions = 0
  for part in parts:
    cut, empty = cut + part.cut, empty + part.empty
    tokens, unknown = tokens + part.tokens, unknown + part.unknown
    words += part.words
    questions += part.cut_questions
  return EncodedTexts(
    {}, cut, empty, tokens, unknown, words, cut_questions=questions
  )
