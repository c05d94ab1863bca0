# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Extractive question answering (Devlin et al., 2018, sections 4.2 and 4.3).

An answer is a span of the context: the likeliest pair of a start and an end.
Of a context in several windows, a span counts in the window where its first
token has most context (run_squad.py of google-research/bert). "No answer" is
the span of [CLS] alone; it wins where it is likelier than the best span by more
than a threshold, which dev tunes.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from bertjax.batch import Batch, Feature
from bertjax.config import ComputeConfig, ModelConfig, TaskConfig
from bertjax.finetune.scores import probabilities, squad
from bertjax.finetune.task import Answer, FinetuneTask, Scores
from bertjax.finetune.windows import Windows
from bertjax.model import BertForQuestionAnswering
from bertjax.objectives.metrics import Metrics

Array = jax.Array
# As n_best_size of run_squad.py.
N_BEST = 20
# A logit that no softmax sees.
_MASKED = -1e30


class ReadQuestion(Protocol):
  """What is asked of an example.

  Attributes:
    context: the text with the answer.
    answers: the true answers, of which there may be none.
    offsets_T2: the first character of each token of the context, and the one
      after its last.
    window_T: the window in which each token has most context.
    start_W: the first token of each window.
    shift: position of that token, from [CLS].
  """

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


def make_model(
  encoder: ModelConfig, compute: ComputeConfig, *, num_labels: int, pooling: str
) -> BertForQuestionAnswering:
  """Return the model, whose outputs are `start_logits_BS` and `end_…`."""
  del num_labels, pooling
  return BertForQuestionAnswering(encoder, compute)


def losses(outputs: Mapping[str, Array], batch: Mapping[str, Array]) -> Metrics:
  """Return the mean of the cross-entropies of start and end, as `loss`.

  The softmax is over the positions of a window, which are those of its pack.
  """
  numbers_R = jnp.arange(1, batch["starts_BR"].shape[1] + 1)
  belongs_BRS = batch["packs_BS"][:, None, :] == numbers_R[None, :, None]
  loss_BR = jnp.zeros_like(batch["weight_BR"])
  for name in ("start", "end"):
    logits_BS = outputs[f"{name}_logits_BS"]
    masked_BRS = jnp.where(belongs_BRS, logits_BS[:, None, :], _MASKED)
    chosen_BR = jnp.take_along_axis(
      logits_BS, batch["starts_BR"] + batch[f"{name}_BR"], axis=1
    )
    partition_BR = jax.nn.logsumexp(masked_BRS, axis=-1)
    # A pack that is empty has no partition.
    loss_BR += jnp.where(
      belongs_BRS.any(axis=-1), (partition_BR - chosen_BR) / 2, 0.0
    )
  weight_BR = batch["weight_BR"]
  return {"loss": (jnp.sum(loss_BR * weight_BR), jnp.sum(weight_BR))}


def weights(batch: Mapping[str, Array]) -> dict[str, Array]:
  """Return the number of windows whose answer is known."""
  return {"loss": jnp.sum(batch["weight_BR"])}


def score(outputs: Batch, windows: Windows) -> Scores:
  """Return the official scores as shares, and the loss of the windows.

  Where questions may have no answer, `null_threshold` is that of the settings;
  a split without one tunes it for F1.
  """
  found = find_candidates(outputs, windows)
  texts = _texts(found, windows)
  answers_E = [example.answers for example in windows.examples]
  has_answer_N = np.asarray([bool(each) for each in answers_E])
  null_answers = bool(windows.settings.get("null_answers"))
  threshold = 0.0
  if null_answers:
    odds_N = np.asarray([each.null_odds for each in found])
    threshold = windows.settings.get("null_threshold")
    if threshold is None:
      answered = squad.score_answers(texts, answers_E, null_answers=True)
      threshold = squad.best_null_threshold(
        answered["f1"], has_answer_N, odds_N
      ).value
    texts = [
      "" if odds > threshold else text
      for text, odds in zip(texts, odds_N, strict=True)
    ]
  scored = squad.score_answers(texts, answers_E, null_answers=null_answers)
  return {
    **squad.mean_scores(scored, has_answer_N),
    "null_threshold": threshold,
    "loss": _loss(outputs, windows),
  }


def is_degenerate(scored: Scores, outputs: Batch, windows: Windows) -> bool:
  """Return whether every answer is empty, or at one place of its window.

  Only where true answers are not so. The place is that of the likeliest start
  and end, whichever spans are allowed; [CLS] is one.
  """
  # Every question without an answer is right, and every other one is wrong:
  # only empty answers are.
  if (
    scored.get("no_answer_exact") == 1.0 and scored.get("has_answer_f1") == 0.0
  ):
    return True
  known_N = windows["weight_N"] > 0
  size = outputs["start_logits_NS"].shape[1]
  is_real_NS = np.arange(size) < windows.length_N[:, None]
  for name in ("start", "end"):
    logits_NS = np.where(is_real_NS, outputs[f"{name}_logits_NS"], -np.inf)
    if len(np.unique(logits_NS.argmax(axis=1))) > 1:
      return False
    if len(np.unique(windows[f"{name}_N"][known_N])) < 2:
      return False
  return True


def answers(
  outputs: Batch,
  windows: Windows,
  labels: Sequence[str],
  tokens: Sequence[str],
) -> Sequence[Sequence[Answer]]:
  """Return the n best answers of each question, the answer itself first.

  "No answer" is an empty text. Probabilities are relative to the other
  candidates; the threshold decides whether "no answer" is the first one.
  """
  del labels, tokens
  threshold = windows.settings.get("null_threshold", 0.0)
  null_answers = bool(windows.settings.get("null_answers"))
  found = []
  for example, each in zip(
    windows.examples, find_candidates(outputs, windows), strict=True
  ):
    spans = each.spans
    if null_answers:
      # Behind the best span, or before it.
      null = Span(each.null, 0, 0)
      rest = [span for span in spans if span.stop]
      is_silent = not rest or each.null_odds > threshold
      later = sorted([null, *rest[1:]], key=lambda span: -span.score)
      spans = [null, *rest] if is_silent else [rest[0], *later]
    chances = probabilities(np.asarray([[span.score for span in spans]]))[0]
    found.append(
      [
        (example.context[span.start : span.stop], float(chance), *span[1:])
        for span, chance in zip(spans, chances, strict=True)
      ]
    )
  return found


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
  return list(best.values())[:N_BEST] or [Span(_MASKED, 0, 0)]


def _texts(found: Sequence[Candidates], windows: Windows) -> list[str]:
  """Return the best span of each question."""
  return [
    example.context[each.spans[0].start : each.spans[0].stop]
    for example, each in zip(windows.examples, found, strict=True)
  ]


def _loss(outputs: Batch, windows: Windows) -> float:
  """Return the mean loss of the windows whose answer is known."""
  size = outputs["start_logits_NS"].shape[1]
  is_real_NS = np.arange(size) < windows.length_N[:, None]
  weight_N = windows["weight_N"]
  total_N = np.zeros(len(weight_N))
  for name in ("start", "end"):
    logits_NS = np.asarray(outputs[f"{name}_logits_NS"], np.float64)
    masked_NS = np.where(is_real_NS, logits_NS, -np.inf)
    largest_N1 = masked_NS.max(axis=1, keepdims=True)
    partition_N = np.log(np.exp(masked_NS - largest_N1).sum(axis=1))
    chosen_N = logits_NS[np.arange(len(total_N)), windows[f"{name}_N"]]
    total_N += (partition_N + largest_N1[:, 0] - chosen_N) / 2
  return float((total_N * weight_N).sum() / max(weight_N.sum(), 1))


TASK = FinetuneTask(
  name="question_answering",
  verb="answer",
  architecture="BertForQuestionAnswering",
  pools=False,
  targets={
    # Positions from the window's [CLS], which is itself "no answer here".
    "start_BR": Feature("BR", "int32"),
    "end_BR": Feature("BR", "int32"),
    # 1 for a window, 0 for padding and where the answer is not known.
    "weight_BR": Feature("BR", "float32"),
  },
  make_model=make_model,
  coefficients={"loss": 1.0},
  weights=weights,
  losses=losses,
  scores=score,
  count_classes=None,
  metrics=("f1", "exact"),
  columns={
    "dev EM": ("dev", "exact"),
    "dev F1": ("dev", "f1"),
    "test EM": ("test", "exact"),
    "test F1": ("test", "f1"),
  },
  answer_columns=("answer", "probability", "start", "stop"),
  answers=answers,
  tuned=("null_threshold",),
  is_degenerate=is_degenerate,
)
