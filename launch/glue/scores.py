# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Our scores on dev beside the published ones."""

from collections.abc import Mapping

from bertjax.finetune.results import ArmResult
from bertjax.trials.markdown import markdown
from bertjax.trials.statistics import Summary
from data_pipelines.tasks.glue_tasks import GLUE
from launch.glue.published import COLUMNS, PUBLISHED, cells

_NAMES = {
  "matthews": "Matthews",
  "accuracy": "accuracy",
  "f1": "F1",
  "pearson": "Pearson",
  "spearman": "Spearman",
}


def page(results: Mapping[str, ArmResult], missing: Mapping[str, str]) -> str:
  """Return a Markdown table of all tasks, and how to read it.

  Args:
    results: result of each task that has one.
    missing: {name of a task: why it has no result}.
  """
  rows = []
  for column, (name, split) in COLUMNS.items():
    metrics = GLUE[name].metrics
    arm = results.get(name)
    rows.append(
      [
        column,
        "/".join(_NAMES[metric] for metric in metrics),
        _ours(arm, split, metrics),
        f"{len(arm.scores.seeds)}" if arm and split else "–",
        *cells(column),
      ]
    )
  table = markdown(
    ["task", "score", "ours on dev", "seeds", *(f"{n} ᵗ" for n in PUBLISHED)],
    rows,
  )
  notes = [
    "Ours: mean ± std (n − 1) over the seeds, × 100, on the dev split, which "
    "also chose the learning rate and the checkpoint.",
    "ᵗ Scores of the GLUE server on the test split, as published: one model, "
    "not comparable to the point with scores on dev. BERT-Base and -Large "
    "report F1 for QQP and MRPC, and Spearman for STS-B.",
  ]
  notes += [
    f"Warning of {GLUE[name].title}: {each.line}."
    for name, arm in results.items()
    for each in arm.findings
  ]
  notes += [f"{line}." for line in by_reason(missing)]
  return "\n\n".join((table, *notes))


def by_reason(missing: Mapping[str, str]) -> list[str]:
  """Return a line for each reason, with the titles of its tasks."""
  lines = []
  for why in dict.fromkeys(missing.values()):
    titles = [GLUE[name].title for name in missing if missing[name] == why]
    lines.append(f"{', '.join(titles)}: {why}")
  return lines


def _ours(arm: ArmResult | None, split: str, metrics: tuple[str, ...]) -> str:
  if arm is None or not split:
    return "–"
  return " / ".join(
    _percent(arm.scores.summary(split, metric)) for metric in metrics
  )


def _percent(summary: Summary | None) -> str:
  if summary is None:
    return "–"
  spread = "" if summary.std is None else f" ± {100 * summary.std:.1f}"
  return f"{100 * summary.mean:.1f}{spread}"
