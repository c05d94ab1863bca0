# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Write the page of a plan or a search, and its numbers as JSON."""

import pathlib
from typing import Any

from bertjax import files
from bertjax.config import flatten_fields
from bertjax.plan.results import PhasePlan, Plan, Search
from launch.reports import page, plan_figures, plan_words

TITLE = "A plan for"  # in the title of each page


def write(
  plan: Plan | Search, html: pathlib.Path, numbers: pathlib.Path
) -> list[pathlib.Path]:
  """Write both files and return their paths.

  Args:
    plan: the result of `launch.plan`.
    html: path of the page.
    numbers: path of the JSON.
  """
  # The page first: it tells that the numbers beside it are ours.
  files.write_text(html, page.render("plan_report.html", make_view(plan)))
  files.write_json(numbers, plan.to_json(), sort_keys=True, allow_nan=False)
  return [numbers, html]


def make_view(plan: Plan | Search) -> dict[str, Any]:
  """Return the values that the template uses."""
  view: dict[str, Any] = {
    "title": TITLE,
    "topology": plan.topology.name,
    "lead": plan_words.describe_topology(plan),
    "bound": plan.bound,
    "notes": plan.notes,
    "phases": (),
    "run": (),
    "collective_columns": plan_words.COLLECTIVE_COLUMNS,
    "candidate_columns": plan_words.CANDIDATE_COLUMNS,
    "candidates": (),
    "config": [
      (name, str(value)) for name, value in flatten_fields(plan.config).items()
    ],
  }
  if isinstance(plan, Search):
    rows = [plan_words.describe_candidate(each) for each in plan.candidates]
    return {**view, "candidates": rows}
  phases = [_view_phase(*each) for each in enumerate(plan.phases, 1)]
  run = plan_words.describe_run(plan.run) if plan.run else ()
  return {**view, "phases": phases, "run": run}


def _view_phase(number: int, phase: PhasePlan) -> dict[str, Any]:
  time, memory, largest = phase.time, phase.memory, phase.largest
  cards = [
    ("fits" if phase.fits else "does not fit", "memory of a device"),
    (
      f"{plan_words.gib(largest.needed)} GiB",
      f"needed of {plan_words.gib(largest.limit)}",
    ),
    (
      f"{phase.rows_per_chip:g}",
      f"rows on a chip, {phase.seq_length} tokens each",
    ),
  ]
  if time:
    cards += [
      (
        f"{1e3 * time.step:.1f} ms",
        f"a step at least, limited by {time.limited_by}",
      ),
      (plan_words.percent(time.mfu), "MFU at most (a bound)"),
      (f"{phase.compile_seconds:.0f} s", "to compile"),
    ]
  return {
    "number": number,
    "cards": cards,
    "rows": plan_words.describe_phase(phase),
    "notes": phase.notes,
    "memory": plan_figures.draw_memory(f"memory {number}", memory),
    "times": time and plan_figures.draw_times(f"times {number}", time),
    "collectives": plan_words.describe_collectives(phase.collectives or ()),
  }
