# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Judge the labels of a fine-tuning task: of which kind, and how many."""

from collections.abc import Iterator

from data_pipelines.tasks.figures import SplitFigures, TaskFigures
from launch.preflight.findings import Finding, at_most_warn, judge, listed
from launch.preflight.policy import Policy


def judge_labels(figures: TaskFigures, policy: Policy) -> Iterator[Finding]:
  """Judge whether labels are what `task.target` says they are."""
  first = figures.table.first_label
  yield judge(
    "numeric_labels",
    figures.numeric_labels,
    f"the labels are numbers ({listed(figures.labels)}"
    f"{first and f'; {first}'}): this is regression, and each "
    "number would be a class of its own",
    "give --config.task.target=score, or round them to a few classes in the "
    "table",
    policy,
  )
  yield judge(
    "joined_labels",
    len(figures.joined_labels),
    "labels are several of the others, joined "
    f"({listed(figures.joined_labels)}), and each combination would be a "
    "class of its own",
    "give --config.task.target=labels, and --config.task.separator as it "
    "stands between them",
    policy,
  )
  if "train" in figures.splits:
    yield from _judge_target(figures.splits["train"], policy)
  alike = listed(["/".join(group) for group in figures.alike_labels])
  yield judge(
    "alike_labels",
    len(figures.alike_labels),
    f"labels differ by case or white space only ({alike}), and each spelling "
    "would be a class of its own",
    "write each label in one way",
    policy,
  )


def judge_scored(
  name: str, split: SplitFigures, figures: TaskFigures, policy: Policy
) -> Iterator[Finding]:
  """Judge whether the labels of a split can tell good answers from bad ones."""
  if not (split.by_class or split.scores):
    return
  finding = _judge_variety(name, split, policy)
  # Dev chooses the parameters; test is only reported.
  yield finding if name == "dev" else at_most_warn(finding, policy)
  if any(split.by_class):
    yield from _judge_classes(name, split, figures, policy)


def _judge_target(train: SplitFigures, policy: Policy) -> Iterator[Finding]:
  """Judge whether labels are what `task.target` says."""
  if train.most_labels is not None:
    yield judge(
      "several_labels",
      train.most_labels,
      "no training text has two labels",
      "give --config.task.target=label, or another --config.task.separator",
      policy,
    )
  if train.scores is not None:
    yield judge(
      "score_values",
      train.scores.distinct,
      f"the training texts have {train.scores.distinct} different scores, as "
      "classes do",
      "give --config.task.target=label",
      policy,
    )
    yield judge(
      "score_size",
      max(abs(train.scores.least), abs(train.scores.most)),
      f"scores are between {train.scores.least:g} and {train.scores.most:g}, "
      "and a head that begins near 0 takes long to get there",
      "divide them in the table, so that they are near 1",
      policy,
    )


def _judge_variety(name: str, split: SplitFigures, policy: Policy) -> Finding:
  """Judge whether examples differ in what they are labeled with."""
  if split.scores:
    return judge(
      "scored_classes",
      split.scores.distinct,
      f"all examples of {name} have one score, which correlates with nothing",
      f"give examples of other scores in task.{name}",
      policy,
    )
  return judge(
    "scored_classes",
    sum(count > 0 for count in split.by_class),
    f"all examples of {name} have one label, so that its scores say nothing",
    f"give examples of every class in task.{name}",
    policy,
  )


def _judge_classes(
  name: str, split: SplitFigures, figures: TaskFigures, policy: Policy
) -> Iterator[Finding]:
  missing = [label for label, n in _by_label(figures, split) if not n]
  yield judge(
    "unscored_classes",
    len(missing),
    f"{name} has no example of {listed(tuple(missing))}, so that nothing is "
    "known of them",
    f"give examples of every class in task.{name}, or hold out more",
    policy,
  )
  least = min(n for n in split.by_class if n)
  rare = split.by_class.index(least)
  counts = ", ".join(
    f"{other} {each.by_class[rare]:,} of {each.examples:,}"
    for other, each in figures.splits.items()
  )
  yield judge(
    "class_examples",
    least,
    f"class {figures.labels[rare]} has few examples ({counts}), so that its "
    f"scores on {name} are mostly noise",
    "label more of them, and read the scores of each class in results.md",
    policy,
  )


def _by_label(
  figures: TaskFigures, split: SplitFigures
) -> list[tuple[str, int]]:
  return list(zip(figures.labels, split.by_class, strict=True))
