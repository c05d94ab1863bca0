# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The page of a plan or of a search, and its numbers as JSON."""

import pathlib
from collections.abc import Mapping
from typing import Any

from bertjax import files
from launch.reports import page, plan_figures, plan_words


def write(
  plan: Mapping[str, Any], html: pathlib.Path, numbers: pathlib.Path
) -> list[pathlib.Path]:
  """Write both files; returns their paths.

  Args:
    plan: what `launch.plan.run` returned.
    html: where the page is to be.
    numbers: where the JSON is to be.
  """
  files.write_json(numbers, plan, sort_keys=True, allow_nan=False)
  files.write_text(html, page.render("plan_report.html", make_view(plan)))
  return [numbers, html]


def make_view(plan: Mapping[str, Any]) -> dict[str, Any]:
  """What the template calls by name."""
  return {
    "topology": plan["topology"]["name"],
    "lead": plan_words.describe_topology(plan),
    "bound": plan["bound"],
    "notes": plan.get("notes", ()),
    "phases": [
      _view_phase(number, phase)
      for number, phase in enumerate(plan.get("phases", ()), 1)
    ],
    "run": plan_words.describe_run(plan["run"]) if plan.get("run") else (),
    "collective_columns": plan_words.COLLECTIVE_COLUMNS,
    "candidate_columns": plan_words.CANDIDATE_COLUMNS,
    "candidates": [
      plan_words.describe_candidate(each) for each in plan.get("candidates", ())
    ],
    "config": [
      (name, str(value)) for name, value in page.flatten(plan["config"])
    ],
  }


def _view_phase(number: int, phase: Mapping[str, Any]) -> dict[str, Any]:
  time, work = phase.get("time"), phase.get("work")
  memory = phase["memory"]
  cards = [
    ("fits" if memory["fits"] else "does not fit", "the memory of a device"),
    (
      f"{plan_words.gib(memory['needed'])} GiB",
      f"needed of {plan_words.gib(memory['limit'])}",
    ),
    (f"{phase['rows_per_chip']:g}", f"rows a chip, {phase['seq_length']} long"),
  ]
  if time and work:
    cards += [
      (
        f"{1e3 * time['step']:.1f} ms",
        f"a step at least, by {time['limited_by']}",
      ),
      (plan_words.percent(time["mfu"]), "MFU at most: a bound"),
      (f"{phase['compile_seconds']:.0f} s", "to compile"),
    ]
  return {
    "number": number,
    "cards": cards,
    "rows": plan_words.describe_phase(phase),
    "notes": phase["notes"],
    "memory": plan_figures.draw_memory(f"memory {number}", memory),
    "times": time and plan_figures.draw_times(f"times {number}", time),
    "collectives": plan_words.describe_collectives(
      phase.get("collectives") or ()
    ),
  }
