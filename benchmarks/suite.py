# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Run the benchmarks that need no data, and print one table: `make bench`.

    python -m benchmarks.suite [--tier=quick] [--only=base_step,restart] \
      [--output=runs/bench]

Each row of `benchmarks.suite_rows` is a process of its own with a time limit,
one after another; beside peers all take turns. The tier `full` takes 30 minutes
at most, `quick` 3: a row that has not ended by then is ended, or not run, and
the last lines say so. `tpu` compiles for TPUs ahead of time. `--only` also runs
rows of no tier, such as predictions of small models in bfloat16.
OUTPUT/TIER.json has figures, versions and hardware, and is written again after
each row. A row that fails, or whose peer is not installed, is reported, and the
others go on. Leave the machine alone meanwhile: the last line names the rows
during which others took more than a tenth of it.
"""

import dataclasses
import importlib.util
import itertools
import json
import math
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib import metadata
from typing import Any

from absl import app, flags

from benchmarks import compiler, machine_load
from benchmarks.figures import Figure, from_json
from benchmarks.suite_rows import (
  BUDGETS,
  Row,
  Tier,
  goal_of,
  of_tier,
  parse_goal,
)
from bertjax import files
from bertjax.interop.onnx import processor
from bertjax.trials.markdown import markdown

ROOT = pathlib.Path(__file__).parents[1]
PACKAGES = (
  *("bertjax", "jax", "jaxlib", "libtpu", "flax", "optax", "numpy"),
  *("torch", "transformers", "onnx", "onnxruntime", "tokenizers", "grain"),
)
# How to get a peer.
_INSTALL = {
  "torch": "make torch",
  "transformers": "pip install transformers",
  "onnx": "pip install onnx",
  "onnxruntime": "pip install onnxruntime",
  "libtpu": "pip install 'bertjax[plan]'",
  compiler.NAME: compiler.INSTALL,
}
_HEADER = ("what", "ours", "peer", "ratio", "goal", "met", "processor")
_LAST_LINES = 3  # of standard error that a failed row keeps


@dataclasses.dataclass(frozen=True)
class Ran:
  """What became of a row.

  Attributes:
    row: the row.
    figures: what it measured, in part if it was ended.
    seconds: time that it took.
    missing: packages of the peer that are not installed.
    error: why it failed, in one line, or "".
    others: share of the machine that others took meanwhile; None where the
      system does not say.
  """

  row: Row
  figures: Sequence[Figure] = ()
  seconds: float = 0.0
  missing: Sequence[str] = ()
  error: str = ""
  others: float | None = None

  def to_json(self) -> dict[str, Any]:
    """Return the result with what the table says of it."""
    return {
      "name": self.row.name,
      "command": list(self.row.command),
      "seconds": self.seconds,
      "missing": list(self.missing),
      "error": self.error,
      "others": self.others,
      "busy": machine_load.is_busy(self.others),
      "figures": [
        {
          **dataclasses.asdict(each),
          "goal": goal_of(self.row, each.what, each.goal),
          "ratio": each.ratio,
          "met": is_met(self.row, each),
        }
        for each in self.figures
      ],
    }


def run_row(row: Row, seconds: float) -> Ran:
  """Run a row in a process of its own, and end it after some seconds."""
  missing = [name for name in row.peers if not has(name)]
  without = [row.peers[name] for name in missing]
  if None in without:
    return Ran(row, missing=missing)
  module, *arguments = row.command
  arguments += itertools.chain.from_iterable(filter(None, without))
  began, before = time.monotonic(), machine_load.read()
  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / "figures.json"
    error = _finish(
      [
        *(sys.executable, "-m", f"benchmarks.{module}", *arguments),
        f"--figures_file={path}",
      ],
      seconds,
    )
    found = json.loads(path.read_bytes()) if path.exists() else []
  if not error and not found:
    error = "it wrote no figures"
  took = time.monotonic() - began
  others = machine_load.share_of_others(before, machine_load.read())
  return Ran(row, from_json(found), took, missing, error, others)


def has(peer: str) -> bool:
  """Return whether a package is installed, or there is a compiler."""
  if peer == compiler.NAME:
    return compiler.is_there()
  return importlib.util.find_spec(peer) is not None


def _finish(command: Sequence[str], seconds: float) -> str:
  """Run a command; return why it failed, or ""."""
  with subprocess.Popen(
    command,
    cwd=ROOT,
    env={"JAX_PLATFORMS": "cpu", "TPU_SKIP_MDS_QUERY": "1", **os.environ},
    stdout=sys.stderr,
    stderr=subprocess.PIPE,
    text=True,
    start_new_session=True,  # its own processes end with it
  ) as process:
    try:
      _, told = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
      return f"it was ended after {seconds:.0f} s"
    finally:
      if process.returncode is None:
        os.killpg(process.pid, signal.SIGKILL)
  if process.returncode:
    lines = told.strip().splitlines()[-_LAST_LINES:]
    return " ".join(" ".join(lines).split()) or f"code {process.returncode}"
  return ""


def is_met(row: Row, figure: Figure) -> bool | None:
  """Return whether a figure reaches its goal; None without goal or peer."""
  text = goal_of(row, figure.what, figure.goal)
  if not text:
    return None
  goal = parse_goal(text)
  value = figure.ratio if goal.of_ratio else figure.ours
  return None if value is None else goal.is_met(value)


def table(ran: Sequence[Ran], name: str) -> str:
  """Return the table of all rows; `name` is the processor's."""
  lines = []
  for each in ran:
    for figure in each.figures:
      met = is_met(each.row, figure)
      peer = _value(figure.peer, figure.unit, figure.of)
      if figure.peer is None and each.missing:
        peer = f"no {', '.join(each.missing)}"
      ratio = figure.ratio
      lines.append(
        [
          figure.what,
          _value(figure.ours, figure.unit),
          peer,
          "–" if ratio is None else f"{ratio:.2f}",
          goal_of(each.row, figure.what, figure.goal) or "–",
          "–" if met is None else ("no", "yes")[met],
          name,
        ]
      )
    if not each.figures:
      lines.append([each.row.name, *["–"] * 5, name])
  return markdown(_HEADER, lines)


def remarks(ran: Sequence[Ran]) -> list[str]:
  """Return lines on rows that failed, peers that miss, and other load."""
  lines = [
    f"{each.row.name} failed: {each.error}" for each in ran if each.error
  ]
  missing = dict.fromkeys(name for each in ran for name in each.missing)
  for name in missing:
    rows = ", ".join(each.row.name for each in ran if name in each.missing)
    how = _INSTALL.get(name, f"pip install {name}")
    lines.append(f"{name} is not installed, which {rows} need: {how}")
  busy = [
    f"{each.row.name} ({each.others:.0%})"
    for each in ran
    if machine_load.is_busy(each.others)
  ]
  if busy:
    lines.append(
      f"others took more than {machine_load.LIMIT:.0%} of the machine during "
      f"{', '.join(busy)}; run these again on a quiet one"
    )
  return lines


def describe_machine() -> dict[str, Any]:
  """Return hardware and versions."""
  found = processor.describe()
  pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
  return {
    "hardware": {
      "processor": found.name,
      "cores": found.cores,
      "instructions": found.instructions,
      "memory_bytes": pages,
      "load": os.getloadavg()[0],
    },
    "versions": {name: _version(name) for name in PACKAGES},
    "python": sys.version.split()[0],
  }


def measure(
  rows: Sequence[Row], path: pathlib.Path, seconds: float = math.inf
) -> list[Ran]:
  """Run rows one after another, and write what is known after each.

  Args:
    rows: what to run.
    path: file of the results.
    seconds: time of all rows.
  """
  machine, ran = describe_machine(), []
  path.parent.mkdir(parents=True, exist_ok=True)
  end = time.monotonic() + seconds
  for number, row in enumerate(rows, 1):
    left = min(row.seconds, end - time.monotonic())
    if left > 0:
      print(
        f"{number} of {len(rows)}: {row.name}, {left:.0f} s at most",
        file=sys.stderr,
        flush=True,
      )
      ran.append(run_row(row, left))
    else:
      over = f"it was not run, since {seconds / 60:.0f} minutes were over"
      ran.append(Ran(row, error=over))
    results = [each.to_json() for each in ran]
    files.write_json(path, {**machine, "rows": results}, allow_nan=False)
  return ran


def _value(value: float | None, unit: str, of: str = "") -> str:
  if value is None:
    return "–"
  return " ".join(filter(None, (f"{value:.4g}", unit, of and f"({of})")))


def _version(package: str) -> str | None:
  try:
    return metadata.version(package)
  except metadata.PackageNotFoundError:
    return None


def define_flags() -> None:
  """Define the flags; not at import, because tests import this."""
  flags.DEFINE_enum("tier", "full", list(BUDGETS), "Which rows are run.")
  flags.DEFINE_list("only", [], "Names of rows to run instead.")
  flags.DEFINE_string("output", "runs/bench", "Folder of the results.")


def main(_: list[str]) -> None:
  """Run the rows of the flags, and print the table."""
  values = flags.FLAGS
  tier: Tier = values.tier
  try:
    rows = of_tier(tier, values.only)
  except ValueError as error:
    sys.exit(f"error: {error}")
  path = pathlib.Path(values.output) / f"{tier}.json"
  try:
    ran = measure(rows, path, math.inf if values.only else BUDGETS[tier])
  except KeyboardInterrupt:
    print(f"stopped; {path} has the rows before", file=sys.stderr)
    sys.exit(130)
  print(table(ran, processor.describe().name))
  for line in remarks(ran):
    print(line)
  print(f"wrote {path}")
  if any(each.error for each in ran):
    sys.exit(1)


if __name__ == "__main__":
  define_flags()
  app.run(main)
