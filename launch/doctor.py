# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
r"""Check a store, a run, a bundle or a task before it is paid for.

    python -m launch.doctor --store=runs/books
    python -m launch.doctor --config=pretrain:size=base \
      --config.data.store=runs/books --workdir=runs/base
    python -m launch.doctor --bundle=runs/base/bundle \
      --task=finetune:task=stdlib
    python -m launch.doctor --list

Prints a table of what passes, warns and fails, and exits with 1 if anything
fails. --store also reads every file and compares it with its checksum. --list
prints every check with its limits.
"""

import dataclasses
import itertools
from collections.abc import Sequence

import rich.box
import rich.console
import rich.table
from absl import flags

from bertjax.config import FinetuneConfig, PretrainConfig, from_mapping
from launch import cli
from launch.commands import shipped_configs
from launch.preflight import examine
from launch.preflight import policy as policies
from launch.preflight.examine import Row
from launch.preflight.policy import Policy
from launch.preflight.thresholds import CHECKS, Check

_LOG_WIDTH = 160  # columns where no terminal says how many there are
_COLORS = {"pass": "green", "warn": "yellow", "fail": "red"}


def run(
  rows: Sequence[Row], policy: Policy, console: rich.console.Console
) -> None:
  """Print the table of what was examined.

  Raises:
    ValueError: something fails that `policy` does not allow.
  """
  table = rich.table.Table(box=rich.box.SIMPLE_HEAD)
  for name in ("what", "check", "", "figure", "limit", "finding; fix"):
    table.add_column(name, overflow="fold")
  for row in rows:
    level = f"[{_COLORS[row.level]}]{row.level}[/]"
    text = "" if row.level == "pass" else row.text
    table.add_row(row.what, row.name, level, row.figure, row.limit, text)
  console.print(table)
  failed = [
    row for row in rows if row.level == "fail" and row.name not in policy.allow
  ]
  if failed:
    names = ", ".join(dict.fromkeys(row.name for row in failed))
    raise ValueError(
      f"{len(failed)} of {len(rows)} checks fail: {names}; the table says what "
      "to do"
    )
  warned = sum(row.level == "warn" for row in rows)
  allowed = sum(row.level == "fail" for row in rows)
  fails = f"{allowed} that --allow lets fail" if allowed else "nothing fails"
  print(f"{len(rows)} checks, {warned} warnings, {fails}", flush=True)


def once(rows: Sequence[Row]) -> list[Row]:
  """Leave out what a run's judgment repeats of its store's."""
  kept: dict[Row, Row] = {}
  for row in rows:
    # Only a store gives the same figure of the same check twice.
    judged = dataclasses.replace(row, what="") if row.figure else row
    kept.setdefault(judged, row)
  return [*kept.values()]


def show_checks(console: rich.console.Console) -> None:
  """Print every check with its limits."""
  table = rich.table.Table(box=rich.box.SIMPLE_HEAD)
  for name in ("check", "warns", "fails", "figure"):
    table.add_column(name, overflow="fold")
  for name, check in CHECKS.items():
    table.add_row(
      name, _limit(check, check.warn), _limit(check, check.fail), check.about
    )
  console.print(table)


def _limit(check: Check, value: float | None) -> str:
  return "" if value is None else f"{check.worse} {check.show(value)}"


def define_flags() -> None:
  """Define the flags; not at import, since other modules call `run`."""
  shipped_configs.define_flag("pretrain:size=tiny")
  shipped_configs.define_flag("finetune:task=stdlib", name="task")
  flags.DEFINE_string("store", None, "Folder of a store.")
  flags.DEFINE_string("workdir", None, "Folder of a pre-training run.")
  flags.DEFINE_string("bundle", None, "Folder of a pre-trained bundle.")
  flags.DEFINE_bool("list", False, "Print every check with its limits.")
  policies.define_flags()


def main(_: Sequence[str]) -> None:
  """Examine what the flags name."""
  values, policy = flags.FLAGS, policies.from_flags()
  console = rich.console.Console(highlight=False)
  if not console.is_terminal:
    console.width = _LOG_WIDTH
  if values.list:
    show_checks(console)
    return
  parts = []
  if values.store:
    parts.append(examine.examine_store(values.store, console, policy))
  if values.config:
    config = from_mapping(PretrainConfig, values.config.to_dict())
    parts.append(examine.examine_run(config, values.workdir, policy))
  elif values.workdir:
    raise ValueError("--workdir is given without --config; give both")
  if values.bundle:
    parts.append(examine.examine_bundle(values.bundle))
  if values.task:
    if not values.bundle:
      raise ValueError("--task is given without --bundle; give both")
    task = from_mapping(FinetuneConfig, values.task.to_dict())
    parts.append(examine.examine_task(task, values.bundle, policy))
  if not parts:
    raise ValueError(
      "nothing to look at is given; give --store, --config, --bundle, or "
      "--bundle with --task"
    )
  run(once([*itertools.chain.from_iterable(parts)]), policy, console)


if __name__ == "__main__":
  define_flags()
  cli.run(main)
