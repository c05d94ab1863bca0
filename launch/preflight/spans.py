# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Judge the entities and the answers that stand in texts."""

from collections.abc import Iterator

from data_pipelines.tasks.figures import SplitFigures, TaskFigures
from launch.preflight.findings import Finding, judge
from launch.preflight.policy import Policy


def judge_spans(figures: TaskFigures, policy: Policy) -> Iterator[Finding]:
  """Judge the spans of every split; most tasks have none."""
  for name, split in figures.splits.items():
    if split.invalid_tags is not None:
      yield _judge_tags(name, split, split.invalid_tags, policy)
    if split.cut_questions is not None:
      yield judge(
        "cut_questions",
        split.cut_questions / split.examples,
        f"{split.cut_questions:,} of {split.examples:,} questions of {name} "
        "lose their end",
        "give a larger --config.task.max_question_length",
        policy,
      )
    if split.lost_answers is not None:
      yield _judge_answers(name, split, split.lost_answers, policy)


def judge_cut_questions(cut: int, texts: int, policy: Policy) -> Finding:
  """Judge the questions that a model does not read to their end.

  Their contexts are read in windows, whatever their length.

  Args:
    cut: number of them.
    texts: number of all texts to answer.
    policy: limits and levels that the user set.
  """
  return judge(
    "cut_questions",
    cut / max(texts, 1),
    f"{cut:,} of {texts:,} questions have more tokens than "
    "max_question_length and lose their end",
    "give shorter questions, or fine-tune with a larger "
    "--config.task.max_question_length",
    policy,
  )


def _judge_tags(
  name: str, split: SplitFigures, invalid: int, policy: Policy
) -> Finding:
  entities = max(sum(split.by_class[:-1]), 1)
  return judge(
    "invalid_tags",
    invalid / entities,
    f"{invalid:,} of {entities:,} entities of {name} begin with an I or E tag; "
    "they are read as entities, as by seqeval",
    "let a B tag begin every entity, or I tags alone make up all (IO)",
    policy,
  )


def _judge_answers(
  name: str, split: SplitFigures, lost: int, policy: Policy
) -> Finding:
  is_train = name == "train"
  fate = "left out" if is_train else "scored, but in no loss"
  return judge(
    "lost_answers",
    lost / (split.examples + lost * is_train),
    f"{lost:,} questions of {name} have an answer that is not where "
    f"answer_start says; they are {fate}",
    "correct them; answer_start counts characters from 0",
    policy,
  )
