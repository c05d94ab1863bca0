# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""`results.md`: the results of an arm for people."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from bertjax.finetune.forgetting import describe
from bertjax.finetune.outcome import ExperimentResult
from bertjax.finetune.results import ArmResult, CalibrationScores
from bertjax.finetune.task import FinetuneTask
from bertjax.trials.markdown import cell, markdown
from bertjax.trials.statistics import Summary, name_seeds


def columns(
  task: FinetuneTask,
  metrics: Iterable[str],
  scored: Sequence[str] = ("dev", "test"),
) -> dict[str, tuple[str, str]]:
  """Return the columns of a result table, {header: (split, score)}.

  Args:
    task: has columns of its own. Those of a split that is not there are of dev.
    metrics: scores that chose the learning rate and the steps. Those that the
      columns lack come first.
    scored: the splits that are there, of "dev" and "test".
  """
  names = {
    score: name.removeprefix(f"{split} ")
    for name, (split, score) in task.columns.items()
  }
  shown = [
    (split if split in scored else "dev", score)
    for split, score in task.columns.values()
  ]
  chosen = [
    (split, metric)
    for metric in metrics
    for split in scored
    if (split, metric) not in shown
  ]
  return {
    f"{split} {names.get(score, score)}": (split, score)
    for split, score in chosen + shown
  }


def splits(examples: Mapping[str, int]) -> list[str]:
  """Return which of "dev" and "test" have examples."""
  return [name for name in ("dev", "test") if name in examples]


def table(arms: Sequence[ArmResult], task: FinetuneTask) -> str:
  """Return a Markdown table with a row for each arm."""
  shown = columns(
    task, [arm.scores.metric for arm in arms], splits(arms[0].examples)
  )
  return markdown(
    ["from", "learning rate", *shown],
    [
      [
        arm.init,
        f"{arm.scores.learning_rate:g}",
        *(
          _cell(arm.scores.summary(split, score))
          for split, score in shown.values()
        ),
      ]
      for arm in arms
    ],
  )


def page(arm: ArmResult, task: FinetuneTask) -> str:
  """Return `results.md`: scores, what to know of them, and each class."""
  warnings = [f"Warning: {each.sentence}" for each in arm.findings]
  notes = describe_scores(arm)
  parts = [table([arm], task), *warnings, *notes, *_expected_best(arm.scores)]
  if arm.calibration:
    parts.append(_calibration_table(arm.calibration))
  parts += describe(arm.forgetting)
  if arm.classes:
    parts += [f"Each class on {arm.scored}:", _class_table(arm)]
    parts += describe_absent(absent_classes(arm), task)
  return "\n\n".join(parts)


def describe_scores(arm: ArmResult) -> list[str]:
  """Return what to know of scores beside the findings, in sentences.

  What a finding tells is not told again: results of earlier versions have none,
  and a user may have moved the limit of one.
  """
  told = {each.name for each in arm.findings}
  diverged, degenerate = arm.scores.diverged, arm.degenerate_seeds
  notes = {}
  if "test" not in arm.examples:
    notes["unscored_test"] = (
      "There is no labeled test split. All scores are those of dev, which "
      "also chose the learning rate and the checkpoint."
    )
  if diverged:
    total = len(diverged) + len(arm.scores.seeds)
    notes["diverged_seeds"] = (
      f"{len(diverged)} of {total} seeds diverged and are not in the scores: "
      f"{name_seeds(diverged)}."
    )
  if degenerate:
    notes["degenerate_seeds"] = (
      f"{len(degenerate)} of {len(arm.scores.seeds)} seeds predict "
      "only one class, score, choice or place, or nothing, on dev, and the "
      f"scores count them: {name_seeds(degenerate)}."
    )
  if arm.never_predicted:
    notes["never_predicted"] = (
      f"Never predicted: {', '.join(arm.never_predicted)}."
    )
  return [note for name, note in notes.items() if name not in told]


def absent_classes(arm: ArmResult) -> list[str]:
  """Return the classes that neither occur in what is scored nor are given."""
  return [each.label for each in arm.classes if each.is_absent(arm.scored)]


def describe_absent(labels: Sequence[str], task: FinetuneTask) -> Iterator[str]:
  """Yield what macro F1 makes of classes without F1, if there are any.

  Args:
    labels: classes that are neither a label nor a prediction.
    task: has macro F1, or has not.
  """
  if not labels:
    return
  macro = ""
  if "macro_f1" in task.metrics:
    macro = (
      " Macro F1 leaves them out."
      if task.macro_leaves_out
      else " Macro F1 counts them as 0."
    )
  yield (
    "Without F1, because no example has them or is given them: "
    f"{', '.join(labels)}.{macro}"
  )


def _expected_best(scores: ExperimentResult) -> Iterator[str]:
  """Yield what the best of n would come to, where there are several."""
  for what, values in scores.expected_best.items():
    if len(values) > 1:
      shown = ", ".join(f"{n}: {each:.4f}" for n, each in enumerate(values, 1))
      yield (
        f"Expected best {scores.metric.replace('_', ' ')} on dev of n {what}, "
        f"by n: {shown}."
      )


def _class_table(arm: ArmResult) -> str:
  shown = splits(arm.examples)
  return markdown(
    ["class", *shown, "predicted", "precision", "recall", "F1"],
    [
      [
        each.label.replace("|", "\\|"),
        *(f"{each.examples[split]:,}" for split in shown),
        "never"
        if each.is_never_predicted
        else f"{sum(each.predictions) / len(each.predictions):,.1f}",
        *map(_cell, (each.precision, each.recall)),
        _cell(None if each.is_absent(arm.scored) else each.f1),
      ]
      for each in arm.classes
    ],
  )


def _calibration_table(found: CalibrationScores) -> str:
  rows = [
    [split, _cell(found.before[split]), _cell(found.after[split])]
    for split in found.before
  ]
  return (
    "Expected calibration error, as probabilities are and with all logits "
    f"divided by {_cell(found.temperature)} (fitted on dev, and used by "
    "nothing unless it is asked to):\n\n"
    + markdown(["split", "as they are", "with the temperature"], rows)
  )


def _cell(summary: Summary | None) -> str:
  return cell(None if summary is None else vars(summary))
