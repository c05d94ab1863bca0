# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Spans of a context that may answer a question, the best first.

An answer is the likeliest pair of a start and an end. Of a context in several
windows, a span counts in the window where its first token has most context
(run_squad.py of google-research/bert).
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from bertjax.batch import Batch
from bertjax.config import TaskConfig
from bertjax.finetune.windows import Windows

# As n_best_size of run_squad.py.
N_BEST = 20
# The score of a span that nothing chooses.
NEVER = -1e30


class ReadQuestion(Protocol):
  """What is asked of an example.

  Attributes:
    question: the question.
    context: the text with the answer.
    answers: the true answers, of which there may be none.
    offsets_T2: the first character of each token of the context, and the one
      after its last.
    window_T: the window in which each token has most context.
    start_W: the first token of each window.
    shift: position of that token, from [CLS].
  """

  question: str
  context: str
  answers: Sequence[str]
  offsets_T2: np.ndarray
  window_T: np.ndarray
  start_W: np.ndarray
  shift: int


class Span(NamedTuple):
  """A part of a context.

  Attributes:
    score: the sum of the logits of its start and its end.
    start: its first character.
    stop: the character after its last one.
  """

  score: float
  start: int
  stop: int


class Candidates(NamedTuple):
  """What may answer a question.

  Attributes:
    spans: the best spans of different texts, the best first.
    null: the score of no answer: the least of its windows.
  """

  spans: list[Span]
  null: float

  @property
  def null_odds(self) -> float:
    """How much better no answer is than the best span."""
    return self.null - self.spans[0].score


def find_candidates(outputs: Batch, windows: Windows) -> list[Candidates]:
  """Return what may answer each question.

  A span has at most `max_answer_length` of the settings in tokens, and its
  first token counts in one window only. A context without a token has one
  empty span.
  """
  longest = int(
    windows.settings.get("max_answer_length", TaskConfig.max_answer_length)
  )
  found = []
  first_E = np.searchsorted(windows.owner_N, np.arange(len(windows.examples)))
  for first, example in zip(first_E, windows.examples, strict=True):
    spans, nulls = [], []
    for number in range(len(example.start_W)):
      length = windows.length_N[first + number]
      start_S, end_S = (
        np.asarray(outputs[f"{name}_logits_NS"][first + number], np.float64)
        for name in ("start", "end")
      )
      nulls.append(float(start_S[0] + end_S[0]))
      inside = slice(example.shift, length - 1)
      spans += _window_spans(
        start_S[inside], end_S[inside], example, number, longest
      )
    found.append(Candidates(_distinct(spans, example.context), min(nulls)))
  return found


def _window_spans(
  start_T: np.ndarray,
  end_T: np.ndarray,
  example: ReadQuestion,
  number: int,
  longest: int,
) -> list[Span]:
  """Return the n best spans of a window, in any order."""
  if not len(start_T):
    return []
  first = int(example.start_W[number])
  counts_T = example.window_T[first : first + len(start_T)] == number
  size = min(longest, len(start_T))
  padded = np.concatenate([end_T, np.full(size - 1, -np.inf)])
  score_TL = start_T[:, None] + np.lib.stride_tricks.sliding_window_view(
    padded, size
  )
  score_TL[~counts_T] = -np.inf
  flat = score_TL.ravel()
  best = np.argpartition(-flat, min(N_BEST, len(flat)) - 1)[:N_BEST]
  spans = []
  for place in best[flat[best] > -np.inf]:
    start, more = divmod(int(place), size)
    offsets_T2 = example.offsets_T2[first + start : first + start + more + 1]
    begin, stop = int(offsets_T2[0, 0]), int(offsets_T2[-1, 1])
    if begin < stop:
      spans.append(Span(float(flat[place]), begin, stop))
  return spans


def _distinct(spans: Sequence[Span], context: str) -> list[Span]:
  """Return the n best spans of different texts; an empty one if there is none.

  Scores of a run that has diverged are no numbers, which may leave none.
  """
  best: dict[str, Span] = {}
  for span in sorted(spans, key=lambda span: -span.score):
    best.setdefault(context[span.start : span.stop], span)
  return list(best.values())[:N_BEST] or [Span(NEVER, 0, 0)]
