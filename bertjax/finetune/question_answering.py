# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Extractive question answering (Devlin et al., 2018, sections 4.2 and 4.3).

An answer is a span of the context: the likeliest pair of a start and an end.
Of a context in several windows, a span counts in the window where its first
token has most context (run_squad.py of google-research/bert). "No answer" is
the span of [CLS] alone; it wins where it is likelier than the best span by more
than a threshold, which dev tunes for the score that chooses the checkpoint.
"""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from bertjax.batch import Batch, Feature
from bertjax.config import ComputeConfig, ModelConfig
from bertjax.finetune.answer_spans import (
  NEVER,
  Candidates,
  ReadQuestion,
  Span,
  find_candidates,
)
from bertjax.finetune.error_analysis import (
  ErrorAnalysis,
  Mistake,
  Mistakes,
  count_wrong,
  excerpt,
  find_worst,
)
from bertjax.finetune.scores import probabilities, squad
from bertjax.finetune.scores.calibration import Answered
from bertjax.finetune.task import Answer, FinetuneTask, Scores
from bertjax.finetune.windows import Windows
from bertjax.model import BertForQuestionAnswering
from bertjax.objectives.metrics import Metrics

Array = jax.Array
# Setting of a run whose metric is the exact match; without it that is F1.
FOR_EXACT = "tuned_for_exact"


def make_model(
  encoder: ModelConfig, compute: ComputeConfig, *, num_labels: int, pooling: str
) -> BertForQuestionAnswering:
  """Return the model, whose outputs are `start_logits_BS` and `end_…`."""
  del num_labels, pooling
  return BertForQuestionAnswering(encoder, compute)


def losses(
  outputs: Mapping[str, Array],
  batch: Mapping[str, Array],
  *,
  label_smoothing: float = 0.0,
) -> Metrics:
  """Return the mean of the cross-entropies of start and end, as `loss`.

  The softmax is over the positions of a window, which are those of its pack.
  With a smoothing ε the target is 1 − ε for the right position, and ε divided
  by all positions of the window.
  """
  numbers_R = jnp.arange(1, batch["starts_BR"].shape[1] + 1)
  belongs_BRS = batch["packs_BS"][:, None, :] == numbers_R[None, :, None]
  loss_BR = jnp.zeros_like(batch["weight_BR"])
  for name in ("start", "end"):
    logits_BS = outputs[f"{name}_logits_BS"]
    masked_BRS = jnp.where(belongs_BRS, logits_BS[:, None, :], NEVER)
    chosen_BR = jnp.take_along_axis(
      logits_BS, batch["starts_BR"] + batch[f"{name}_BR"], axis=1
    )
    partition_BR = jax.nn.logsumexp(masked_BRS, axis=-1)
    if label_smoothing:
      sum_BR = jnp.sum(jnp.where(belongs_BRS, masked_BRS, 0.0), axis=-1)
      mean_BR = sum_BR / jnp.maximum(
        jnp.sum(belongs_BRS, axis=-1, dtype=jnp.float32), 1
      )
      chosen_BR += label_smoothing * (mean_BR - chosen_BR)
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
  a split without one tunes it, for the exact match if the settings have
  `FOR_EXACT` and for F1 otherwise.
  """
  scored, has_answer_N, threshold = _score_questions(outputs, windows)
  return {
    **squad.mean_scores(scored, has_answer_N),
    "null_threshold": threshold,
    "loss": _loss(outputs, windows),
  }


def by_example(outputs: Batch, windows: Windows) -> dict[str, np.ndarray]:
  """Return the exact match and the F1 of each question."""
  return _score_questions(outputs, windows)[0]


def _score_questions(
  outputs: Batch, windows: Windows
) -> tuple[dict[str, np.ndarray], np.ndarray, float]:
  """Return the scores of each question, which have answers, the threshold."""
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
      metric = "exact" if windows.settings.get(FOR_EXACT) else "f1"
      threshold = squad.best_null_threshold(
        answered[metric], has_answer_N, odds_N
      ).value
    texts = [
      "" if odds > threshold else text
      for text, odds in zip(texts, odds_N, strict=True)
    ]
  scored = squad.score_answers(texts, answers_E, null_answers=null_answers)
  return scored, has_answer_N, threshold


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
  found = []
  for example, spans in zip(
    windows.examples, _rank(outputs, windows), strict=True
  ):
    chances = probabilities(np.asarray([[span.score for span in spans]]))[0]
    found.append(
      [
        (example.context[span.start : span.stop], float(chance), *span[1:])
        for span, chance in zip(spans, chances, strict=True)
      ]
    )
  return found


def candidates(outputs: Batch, windows: Windows) -> Answered:
  """Return the answers among the candidates that `answers` returns.

  One is right where it matches a true answer exactly. A true answer may be
  none of the candidates.
  """
  ranked = _rank(outputs, windows)
  logits_EC = np.full((len(ranked), max(map(len, ranked))), -np.inf)
  for row_C, spans in zip(logits_EC, ranked, strict=True):
    row_C[: len(spans)] = [span.score for span in spans]
  examples: Sequence[ReadQuestion] = windows.examples
  scored = squad.score_answers(
    [
      example.context[spans[0].start : spans[0].stop]
      for example, spans in zip(examples, ranked, strict=True)
    ],
    [example.answers for example in examples],
    null_answers=bool(windows.settings.get("null_answers")),
  )
  first_E = np.zeros(len(ranked), np.int64)
  return Answered(logits_EC, first_E, scored["exact"] == 1)


def _rank(outputs: Batch, windows: Windows) -> list[list[Span]]:
  """Return the candidates of each question: its answer, then by their score."""
  threshold = windows.settings.get("null_threshold", 0.0)
  found = []
  for each in find_candidates(outputs, windows):
    spans = each.spans
    if windows.settings.get("null_answers"):
      # Behind the best span, or before it.
      null = Span(each.null, 0, 0)
      rest = [span for span in spans if span.stop]
      is_silent = not rest or each.null_odds > threshold
      later = sorted([null, *rest[1:]], key=lambda span: -span.score)
      spans = [null, *rest] if is_silent else [rest[0], *later]
    found.append(spans)
  return found


def analyze(outputs: Batch, windows: Windows) -> ErrorAnalysis:
  """Return the worst answers: of the least F1, the surest ones first."""
  found = answers(outputs, windows, (), ())
  best = [each[0] for each in found]
  examples: Sequence[ReadQuestion] = windows.examples
  scored = squad.score_answers(
    [text for text, *_ in best],
    [example.answers for example in examples],
    null_answers=bool(windows.settings.get("null_answers")),
  )
  chance_N = np.asarray([chance for _, chance, *_ in best])
  is_wrong_N = scored["exact"] == 0
  worst_first_N = np.lexsort((-chance_N, scored["f1"]))
  badness_N = -np.argsort(worst_first_N)  # minus the rank of each question
  return ErrorAnalysis(
    Mistakes(
      "The worst answers",
      f"{count_wrong(is_wrong_N, 'answers')} Some are nearly right: F1 is the "
      "share of words.",
      ("F1", "probability"),
      tuple(
        Mistake(
          (f"{scored['f1'][number]:.2f}", f"{chance_N[number]:.1%}"),
          tuple(dict.fromkeys(examples[number].answers)),
          tuple(filter(None, best[number][:1])),
          (
            examples[number].question,
            _around(examples[number], *best[number][2:]),
          ),
        )
        for number in find_worst(badness_N, is_wrong_N)
      ),
    )
  )


def _around(example: ReadQuestion, start: int, stop: int) -> str:
  """Return the context around the given answer and the first true one."""
  spans = [(start, stop)] if stop else []
  if example.answers:
    place = example.context.find(example.answers[0])
    if place >= 0:
      spans.append((place, place + len(example.answers[0])))
  return excerpt(example.context, spans)


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
  candidates=candidates,
  by_example=by_example,
  analyze=analyze,
  tuned=("null_threshold",),
  loss_options=("label_smoothing",),
  is_degenerate=is_degenerate,
)
