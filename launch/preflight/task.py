# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Judge the data of a fine-tuning task, before anything is compiled."""

import math
from collections.abc import Iterator

from bertjax.finetune.results import ArmResult
from bertjax.trials.statistics import name_seeds
from data_pipelines.tasks.features import EncodedTexts
from data_pipelines.tasks.figures import TaskFigures
from launch.preflight.findings import (
  SHOWN,
  Finding,
  at_most_warn,
  judge,
  listed,
)
from launch.preflight.labels import judge_labels, judge_scored
from launch.preflight.policy import Policy
from launch.preflight.spans import judge_cut_questions, judge_spans

# What can be done where a fine-tuned model cuts texts.
FINETUNE_LONGER = (
  "give shorter texts, or fine-tune with a larger --config.seq_length"
)


def judge_task(
  figures: TaskFigures,
  seq_length: int,
  corpus_tokens_per_word: float | None,
  policy: Policy,
) -> list[Finding]:
  """Judge what was measured of a task.

  Args:
    figures: what was measured.
    seq_length: tokens of a row.
    corpus_tokens_per_word: tokens a word of the corpus that the encoder was
      trained on; None if its bundle does not say.
    policy: limits and levels that the user set.
  """
  return [
    *_judge_tables(figures, policy),
    *judge_labels(figures, policy),
    *_judge_splits(figures, policy),
    *judge_spans(figures, policy),
    _judge_cut(figures, seq_length, policy),
    *_judge_tokens(figures, corpus_tokens_per_word, policy),
  ]


def judge_texts(
  encoded: EncodedTexts,
  texts: int,
  seq_length: int,
  policy: Policy,
  fix: str = FINETUNE_LONGER,
) -> list[Finding]:
  """Judge texts that a model is to read.

  Args:
    encoded: the texts as rows.
    texts: number of texts.
    seq_length: tokens of a row.
    policy: limits and levels that the user set.
    fix: what the user can do about texts that are cut.
  """
  return [
    judge(
      "cut_texts",
      encoded.cut / max(texts, 1),
      f"{encoded.cut:,} of {texts:,} {_lose_their_end(seq_length)}",
      fix,
      policy,
    ),
    judge_cut_questions(encoded.cut_questions, texts, policy),
    judge_unknown(encoded.unknown, encoded.tokens, policy),
  ]


def judge_unknown(unknown: int, tokens: int, policy: Policy) -> Finding:
  """Judge how many tokens of texts to answer a model does not know.

  Answers to such texts are poor, but they are what was asked for.
  """
  finding = judge(
    "task_unknown_tokens",
    unknown / max(tokens, 1),
    f"{unknown:,} of {tokens:,} tokens are unknown to this model",
    "give text like that of training, or a model with another vocabulary",
    policy,
  )
  return at_most_warn(finding, policy)


def judge_results(result: ArmResult, policy: Policy) -> list[Finding]:
  """Judge what became of an arm: its seeds, and what they predict."""
  diverged = result.scores.diverged
  return [
    judge(
      "diverged_seeds",
      len(diverged),
      f"{len(diverged)} of {len(diverged) + len(result.scores.seeds)} seeds "
      f"diverged ({name_seeds(diverged)}), and the scores leave them out",
      "give lower --config.learning_rates, or a longer --config.warmup_rate",
      policy,
    ),
    judge(
      "degenerate_seeds",
      len(result.degenerate_seeds),
      f"{len(result.degenerate_seeds)} of {len(result.scores.seeds)} seeds "
      f"predict only one class, score, choice or place, or nothing, on dev "
      f"({name_seeds(result.degenerate_seeds)}), and the scores count them",
      "give lower --config.learning_rates, a longer --config.warmup_rate, or "
      "more --config.epochs",
      policy,
    ),
    judge(
      "never_predicted",
      len(result.never_predicted),
      f"no seed ever predicts {listed(result.never_predicted)} on "
      f"{result.scored}",
      "give more examples of these classes, train longer, or choose by "
      "--config.metric=macro_f1",
      policy,
    ),
  ]


def judge_quantized(
  metric: str, both: tuple[float, float], texts: int, fix: str, policy: Policy
) -> Finding:
  """Judge what a model scores with integers of 8 bits.

  Args:
    metric: name of a score; larger is better.
    both: the score in float32, and with integers.
    texts: number of texts that are scored.
    fix: what the user can do.
    policy: limits and levels that the user set.
  """
  exact, narrow = both
  fall = exact - narrow
  return judge(
    "quantized_score",
    1.0 if math.isnan(fall) else fall,  # outputs that are no numbers
    f"{metric} falls from {exact:.4f} to {narrow:.4f} with integers of 8 bits, "
    f"on {texts:,} texts",
    fix,
    policy,
  )


def describe(figures: TaskFigures, seq_length: int) -> Iterator[str]:
  """Yield a line for each split, with what its examples lose."""
  for name, split in figures.splits.items():
    counts = split.by_class
    what = ""
    if split.scores:
      what = (
        f" with scores from {split.scores.least:g} to {split.scores.most:g}"
      )
    elif counts:
      classes = sum(count > 0 for count in counts)
      what = (
        f" of {classes:,} classes ({min(counts):,} to {max(counts):,} each)"
      )
    lost = f"{split.cut:,} cut at {seq_length} tokens"
    if split.windows:
      lost = f"in {split.windows:,} windows of at most {seq_length} tokens"
    yield f"{name}: {split.examples:,} examples{what}, {lost}"
  yield from figures.table.notes


def _judge_tables(figures: TaskFigures, policy: Policy) -> Iterator[Finding]:
  table = figures.table
  lines = "; ".join(table.skipped[:SHOWN])
  yield judge(
    "skipped_rows",
    len(table.skipped) / max(table.rows, 1),
    f"{len(table.skipped):,} of {table.rows:,} rows are left out: {lines}",
    "correct these rows, or delete them",
    policy,
  )
  yield judge(
    "stripped_labels",
    table.stripped_labels,
    f"{table.stripped_labels:,} labels are read without the white space around "
    "them",
    "remove it from the table",
    policy,
  )
  yield judge(
    "unscored_test",
    int(bool(table.unscored_test)),
    f"{table.unscored_test}, so that all scores are those of dev, which also "
    "chooses the learning rate and the checkpoint",
    table.unscored_fix
    or "give labeled examples with --config.task.test, or hold some out with "
    "--config.task.test_rate",
    policy,
  )


def _judge_splits(figures: TaskFigures, policy: Policy) -> Iterator[Finding]:
  scored = {n: s for n, s in figures.splits.items() if n != "train"}
  for name, split in scored.items():
    yield judge(
      "shared_texts",
      split.shared,
      f"{split.shared:,} of the {split.examples:,} texts of {name} are also in "
      "train, so that their labels are known",
      f"remove them, or leave task.{name} out: texts that are held out from "
      "train are in one split only",
      policy,
    )
  if train := figures.splits.get("train"):
    yield judge(
      "contradicting_texts",
      train.contradicting / max(train.examples, 1),
      f"{train.contradicting:,} of {train.examples:,} training texts also "
      "occur with another label",
      "decide for one label of each text",
      policy,
    )
  empty = sum(split.empty for split in figures.splits.values())
  yield judge(
    "empty_texts",
    empty,
    f"{empty:,} texts have no token",
    "delete them, or look at what the tokenizer removes from them",
    policy,
  )
  for name, split in scored.items():
    yield from judge_scored(name, split, figures, policy)


def _judge_cut(
  figures: TaskFigures, seq_length: int, policy: Policy
) -> Finding:
  """Judge the split that loses most, in one finding with the others."""
  splits = figures.splits
  counts = ", ".join(
    f"{split.cut:,} of {split.examples:,} in {name}"
    for name, split in splits.items()
  )
  return judge(
    "cut_texts",
    max(split.cut / max(split.examples, 1) for split in splits.values()),
    f"{_lose_their_end(seq_length)}: {counts}",
    "give a larger --config.seq_length, up to the positions of the encoder, or "
    "--config.task.long_texts=mean, which reads them in several windows",
    policy,
  )


def _lose_their_end(seq_length: int) -> str:
  return f"texts are longer than {seq_length} tokens and lose their end"


def _judge_tokens(
  figures: TaskFigures, corpus: float | None, policy: Policy
) -> Iterator[Finding]:
  yield judge(
    "task_unknown_tokens",
    figures.unknown_rate,
    f"{figures.unknown_rate:.2%} of the tokens of the task are unknown: the "
    "vocabulary lacks words or letters of these texts",
    "pre-train with a vocabulary of such text: launch.prepare --extend_vocab=N",
    policy,
  )
  found = figures.tokens_per_word
  fix = (
    "extend the vocabulary by words of such text with launch.prepare "
    "--extend_vocab=N, and pre-train on"
  )
  if corpus is None:
    yield judge(
      "fertility",
      found,
      f"a word of the task has {found:.2f} tokens on average: the vocabulary "
      "comes from another domain or language",
      fix,
      policy,
    )
    return
  yield judge(
    "task_fertility",
    found / corpus,
    f"a word of the task has {found:.2f} tokens on average, and one of the "
    f"encoder's corpus {corpus:.2f}: the vocabulary comes from another domain",
    fix,
    policy,
  )
