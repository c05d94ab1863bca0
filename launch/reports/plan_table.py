# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A plan on the terminal."""

from collections.abc import Mapping
from typing import Any

import rich.box
import rich.console
import rich.table

from launch.reports import plan_words

_WIDTH = 120  # where nobody looks at a terminal


def show(
  plan: Mapping[str, Any], console: rich.console.Console | None = None
) -> None:
  """Print a plan, or the candidates of a search."""
  if console is None:
    console = rich.console.Console(highlight=False, markup=False)
    if not console.is_terminal:
      console.width = _WIDTH
  if "candidates" in plan:
    console.print(plan_words.describe_topology(plan))
    console.print(_candidates(plan))
    console.print(plan["bound"])
    return
  console.print(plan_words.describe_topology(plan))
  for note in plan["notes"]:
    console.print(f"note: {note}")
  for phase in plan["phases"]:
    console.print(_pairs(plan_words.describe_phase(phase)))
    for note in phase["notes"]:
      console.print(f"note: {note}")
    if phase.get("collectives"):
      console.print(_collectives(phase["collectives"]))
  if plan["run"]:
    console.print(_pairs(plan_words.describe_run(plan["run"])))
  console.print(plan["bound"])


def _pairs(rows: list[tuple[str, str]]) -> rich.table.Table:
  table = rich.table.Table(box=rich.box.SIMPLE_HEAD, show_header=False)
  table.add_column()
  table.add_column(overflow="fold")
  for name, value in rows:
    table.add_row(name, value)
  return table


def _collectives(rows: list[Mapping[str, Any]]) -> rich.table.Table:
  table = rich.table.Table(box=rich.box.SIMPLE_HEAD)
  for number, name in enumerate(plan_words.COLLECTIVE_COLUMNS):
    table.add_column(name, justify="left" if number < 4 else "right")
  for row in plan_words.describe_collectives(rows):
    table.add_row(*row)
  return table


def _candidates(plan: Mapping[str, Any]) -> rich.table.Table:
  table = rich.table.Table(box=rich.box.SIMPLE_HEAD)
  for number, name in enumerate(plan_words.CANDIDATE_COLUMNS):
    table.add_column(name, justify="left" if number < 2 else "right")
  for each in plan["candidates"]:
    table.add_row(*plan_words.describe_candidate(each))
  return table
