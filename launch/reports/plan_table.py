# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Print a plan or a search on the terminal."""

from collections.abc import Iterable, Sequence

import rich.box
import rich.console
import rich.table

from bertjax.plan.results import Plan, Search
from launch.reports import plan_words

_WIDTH = 120  # columns where the output is not a terminal


def show(
  plan: Plan | Search, console: rich.console.Console | None = None
) -> None:
  """Print a plan, or the candidates of a search."""
  if console is None:
    console = rich.console.Console(highlight=False, markup=False)
    if not console.is_terminal:
      console.width = _WIDTH
  console.print(plan_words.describe_topology(plan))
  _show_notes(console, plan.notes)
  if isinstance(plan, Search):
    lines = map(plan_words.describe_candidate, plan.candidates)
    console.print(_table(plan_words.CANDIDATE_COLUMNS, lines, num_left=2))
  else:
    _show_phases(console, plan)
  console.print(plan.bound)


def _show_phases(console: rich.console.Console, plan: Plan) -> None:
  for phase in plan.phases:
    console.print(_pairs(plan_words.describe_phase(phase)))
    _show_notes(console, phase.notes)
    if phase.collectives:
      lines = plan_words.describe_collectives(phase.collectives)
      console.print(_table(plan_words.COLLECTIVE_COLUMNS, lines, num_left=4))
  if plan.run:
    console.print(_pairs(plan_words.describe_run(plan.run)))


def _show_notes(console: rich.console.Console, notes: Iterable[str]) -> None:
  for note in notes:
    console.print(f"note: {note}")


def _pairs(rows: list[tuple[str, str]]) -> rich.table.Table:
  table = rich.table.Table(box=rich.box.SIMPLE_HEAD, show_header=False)
  table.add_column()
  table.add_column(overflow="fold")
  for name, value in rows:
    table.add_row(name, value)
  return table


def _table(
  columns: Sequence[str], lines: Iterable[Sequence[str]], num_left: int
) -> rich.table.Table:
  """Return a table; the first `num_left` columns are aligned left."""
  table = rich.table.Table(box=rich.box.SIMPLE_HEAD)
  for number, name in enumerate(columns):
    table.add_column(name, justify="left" if number < num_left else "right")
  for line in lines:
    table.add_row(*line)
  return table
