# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The page of a study: all of it stands in `report.json` and `timing.json`."""

import hashlib
import json
import pathlib
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import bertjax.config
import bertjax.sweep
import bertjax.trials
import launch.reports
from bertjax import files
from bertjax.config import flatten_fields
from bertjax.sweep.choice import Choice
from bertjax.sweep.differences import Differences, describe_groups
from bertjax.sweep.findings import StudyFinding
from bertjax.trials.markdown import cell
from launch.reports import page, sweep_figures, sweep_points, sweep_tables

TEMPLATE = "sweep_report.html"
# Panels of curves of one metric; a page of more is slow to draw and to read.
MOST_PANELS = 12
# The packages whose code writes the page: where it is another, the page is
# written again.
_PACKAGES = (bertjax.config, bertjax.sweep, bertjax.trials, launch.reports)


def write(
  path: pathlib.Path, report: pathlib.Path, timing: pathlib.Path
) -> None:
  """Write the page, unless it is that of the same numbers already.

  Args:
    path: path of the page.
    report: path of `report.json`.
    timing: path of `timing.json`.
  """
  made_from = hashlib.sha256(
    b"".join(
      files.sha256_of(each).encode() for each in [report, timing, *sources()]
    )
  ).hexdigest()
  if path.is_file() and f"made from {made_from}" in path.read_text("utf-8"):
    return
  view = make_view(
    json.loads(report.read_text("utf-8")), json.loads(timing.read_text("utf-8"))
  )
  files.write_text(
    path, page.render(TEMPLATE, {**view, "made_from": made_from})
  )


def sources() -> list[pathlib.Path]:
  """Return the modules and templates that write the page."""
  folders = [pathlib.Path(each.__path__[0]) for each in _PACKAGES]
  return sorted(
    path
    for folder in folders
    for path in folder.rglob("*")
    if path.suffix in (".py", ".html")
  )


def make_view(
  report: Mapping[str, Any], timing: Mapping[str, Any]
) -> dict[str, Any]:
  """Return the values that the template uses.

  Args:
    report: the JSON of `report.json`.
    timing: the JSON of `timing.json`.
  """
  differences = Differences.from_json(report["differences"])
  measures = sweep_tables.measures(report)
  choice = report["choice"]
  return {
    "question": report["question"]
    or "A study of "
    + ", ".join(
      each.field for each in differences.fields if each.why == "axis"
    ),
    "answer": report["answer"]["sentence"],
    "choice": str(Choice.from_json(choice)) if choice else "",
    "cards": _cards(report, timing),
    "findings": _findings(report),
    "notes": report["notes"],
    "baseline": report["baseline"],
    "measures": [sweep_tables.words(name) for name in measures],
    "arms": [
      (arm, *(cell(values.get(name)) for name in measures))
      for arm, values in sweep_tables.baseline_first(report, report["arms"])
    ],
    "own_rows": _own_rows(report),
    "published": [
      sweep_tables.view_published(report, each) for each in report["published"]
    ],
    **_view_comparisons(report),
    "one_seed": len(report["seeds"]) == 1,
    **_view_curves(report),
    **sweep_points.view_points(report, MOST_PANELS),
    "cost_columns": sweep_tables.cost_columns(report),
    "costs": sweep_tables.costs(report, timing),
    "pretrained": report["trains"] == "pretrain",
    "tokens_read": report["tokens_read"],
    "seconds": f"{timing['seconds']:,.0f}",
    **_view_trials(report, measures),
    **_view_differences(differences),
    "command": _in_lines(report["command"]),
    "changes": [
      (arm, [(name, str(value)) for name, value in flatten_fields(own).items()])
      for arm, own in report["changes"].items()
    ],
    "groups": sweep_tables.configs(report),
  }


def _view_trials(
  report: Mapping[str, Any], measures: Sequence[str]
) -> dict[str, Any]:
  return {
    "trial_columns": [
      "trial",
      "state",
      "compared",
      *map(sweep_tables.words, measures),
    ],
    "trials": [
      [
        each["trial"],
        each["state"],
        "yes" if each["compared"] else "no",
        *(sweep_tables.number(each["values"].get(name)) for name in measures),
      ]
      for each in report["trials"]
    ],
  }


def _view_comparisons(report: Mapping[str, Any]) -> dict[str, Any]:
  """Return what the arms differ in, and how sure that is."""
  return {
    "forests": [*_draw_forests(report)],
    "comparison_columns": sweep_tables.comparison_columns(report),
    "comparisons": sweep_tables.comparisons(report),
    "resampled": sweep_tables.is_resampled(report),
    "sentences": [f"{each['sentence']}." for each in report["comparisons"]],
    "number_of_comparisons": max(
      (each["comparisons"] for each in report["comparisons"]), default=0
    ),
    "margins": [
      f"±{margin:g} in {sweep_tables.words(name)}"
      for name, margin in report["margins"].items()
    ],
  }


def _cards(
  report: Mapping[str, Any], timing: Mapping[str, Any]
) -> list[tuple[str, str]]:
  trials = report["trials"]
  done = sum(each["state"] == "done" for each in trials)
  seeds = len(report["seeds"])
  return [
    (str(len(report["arms"])), "arms"),
    (str(seeds), "seed of every arm" if seeds == 1 else "seeds of every arm"),
    (f"{done} of {len(trials)}", "trials are done"),
    (report["match"], "equal in all arms")
    if report["trains"] == "pretrain"
    else ("dev", "compares the arms"),
    (f"{timing['seconds'] / 3600:,.2f}", "hours of all trials"),
  ]


def _findings(report: Mapping[str, Any]) -> list[dict[str, Any]]:
  """Return what the trials warned of, each check once."""
  # Studies of earlier versions have none.
  saved = report.get("findings", ())
  found = [StudyFinding.from_json(each) for each in saved]
  return [
    {
      "bad": each.variants[0].found.level == "fail",
      "sentence": each.sentences[0],
      "more": each.describe_more(),
      "others": each.sentences[1:],
    }
    for each in found
  ]


def _own_rows(report: Mapping[str, Any]) -> str:
  """Say which arms have validation rows of their own, if any."""
  groups = report["differences"]["validation"]
  if len(groups) < 2:
    return ""
  return (
    "Validation rows and masks are "
    f"{describe_groups(groups)}: losses on other rows do not compare."
  )


def _draw_forests(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
  """Yield a figure for each metric, and its words."""
  by_metric: dict[str, list[Mapping[str, Any]]] = {}
  for each in report["comparisons"]:
    by_metric.setdefault(each["metric"], []).append(each)
  for metric, found in by_metric.items():
    svg = sweep_figures.draw_forest(f"forest {metric}", found)
    yield svg, sweep_tables.words(metric)


def _draw_curves(report: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
  """Yield the panels of each metric: the baseline's curves and an arm's."""
  baseline = report["baseline"]
  over = "steps" if report["trains"] == "finetune" else "tokens seen"
  for metric, by_arm in report["curves"].items():
    others = [arm for arm in report["arms"] if arm in by_arm]
    if baseline in others:
      others.remove(baseline)
    first = {baseline: by_arm[baseline]} if baseline in by_arm else {}
    shown = [{**first, arm: by_arm[arm]} for arm in others[:MOST_PANELS]] or [
      first
    ]
    limits = sweep_figures.limits_of(by_arm)
    yield {
      "metric": sweep_tables.words(metric),
      "left_out": ", ".join(others[MOST_PANELS:]),
      "panels": [
        (
          sweep_figures.draw_curves(f"{metric} {number}", each, limits, over),
          " and ".join(each),
        )
        for number, each in enumerate(shown)
        if each
      ],
    }


def _in_lines(command: str) -> str:
  """Return a command with a line for each of its flags."""
  return " ".join(
    f"\\\n  {shlex.quote(word)}" if word.startswith("--") else shlex.quote(word)
    for word in shlex.split(command)
  )


def _view_curves(report: Mapping[str, Any]) -> dict[str, Any]:
  """Return the panels, and whether each metric has one alone."""
  curves = [*_draw_curves(report)]
  return {
    "curves": curves,
    "single_panels": all(len(each["panels"]) == 1 for each in curves),
  }


def _view_differences(found: Differences) -> dict[str, Any]:
  return {
    "differs": [
      (
        each.field,
        each.why,
        [(value, ", ".join(arms)) for value, arms in each.arms.items()],
      )
      for each in found.fields
    ],
    "equal": [
      *found.equal.items(),
      *(
        (name, describe_groups(groups))
        for name, groups in (
          ("training rows", found.rows),
          ("validation rows and masks", found.validation),
        )
        if groups
      ),
    ],
  }
