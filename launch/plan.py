# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
r"""Plan a run on TPUs, on a host without TPUs: memory, collectives, bounds.

  python -m launch.plan --config=pretrain:size=large,seq=512 \
    --topology=v5e:16x16 --config.batch_size=4096 --config.mesh.zero1=True \
    --config.compute.dtype=bfloat16 --config.compute.dropout_rng=rbg

Needs libtpu (`pip install 'bertjax[plan]'`), but no TPU and no data; a store
that the config gives is read for its vocabulary and its rows. Compiles
the steps of `launch.pretrain` for the topology in about a minute.
--output=DIR writes plan.json and plan.html. --search searches for the largest
batch over shardings and remat policies, and for the micro-batches of the batch
that is given, in about --search_minutes at most. Times are bounds and not
measurements.
"""

import dataclasses
import math
import os
import pathlib
import re
import subprocess
import sys
from collections.abc import Sequence
from typing import IO

from absl import flags

from bertjax.config import PretrainConfig, from_mapping, to_mapping
from bertjax.config.phases import split_phases
from bertjax.parallel import backend
from bertjax.plan import environment
from bertjax.plan.hardware import topologies
from bertjax.plan.results import Plan, Search
from bertjax.plan.vocabulary import TOKENS
from launch import cli
from launch.commands import output_paths, shipped_configs
from launch.run.resolve import MadeUpStores, Resolved, resolve

# Set in the child process, which compiles. Some versions of libtpu crash for
# some chips; the parent process survives that and reports it.
_COMPILES = "BERTJAX_PLAN_COMPILES"
# First line of the dump that a crash prints.
_CRASH = re.compile(r"\*\*\* SIG|https://symbolize|Fatal Python|PC: @")
# Enough for all candidates of a small model.
_MINUTES = 40
JSON = "plan.json"
HTML = "plan.html"


def plan_run(
  config: PretrainConfig,
  topology: topologies.Topology,
  *,
  price_per_chip_hour: float | None = None,
  count: bool = True,
) -> Plan:
  """Plan a run; prints a line before each compile.

  Args:
    config: the config of a pre-training run.
    topology: the chips that it would run on.
    price_per_chip_hour: in any currency.
    count: also ask the compiler for its own count, in two more compiles.

  Raises:
    ValueError: a mistake of the user's, or libtpu is missing.
  """
  # Imported here, since it imports JAX: JAX reads the environment at once, and
  # a mistyped flag is refused before that takes its seconds.
  from bertjax.plan import planning

  resolved, notes = resolve_for(config, topology)
  return planning.make_plan(
    resolved.config,
    resolved.phases,
    topology,
    notes=notes,
    price_per_chip_hour=price_per_chip_hour,
    count=count,
    report=_report,
  )


def search_batch(
  config: PretrainConfig,
  topology: topologies.Topology,
  minutes: float = math.inf,
) -> Search:
  """Search for the largest batch; prints a line before each candidate.

  Args:
    config: the config of a pre-training run.
    topology: the chips that it would run on.
    minutes: no candidate is begun later.

  Raises:
    ValueError: a mistake of the user's, or libtpu is missing.
  """
  from bertjax.plan import planning, search

  smallest = search.smallest_run(config, topology)
  resolved, notes = resolve_for(smallest, topology)
  found, left_out = search.search(
    resolved.phases[0].config,
    topology,
    _report,
    batch_size=split_phases(config)[-1].config.batch_size,
    minutes=minutes,
  )
  return Search(
    topology=planning.describe_topology(topology),
    config=to_mapping(config),
    candidates=found,
    notes=(*notes, *left_out),
  )


def resolve_for(
  config: PretrainConfig, topology: topologies.Topology
) -> tuple[Resolved, list[str]]:
  """Resolve a config with the stores that it gives, if it gives any.

  Neither JAX nor libtpu is needed.

  Returns:
    The resolved config, and notes on what a store would have decided.

  Raises:
    ValueError: a mistake of the user's, in one line.
  """
  if topology.num_slices > 1 and not config.mesh.slices:
    mesh = dataclasses.replace(config.mesh, slices=topology.num_slices)
    config = dataclasses.replace(config, mesh=mesh)
  origin = None
  if config.init_from:
    from bertjax.checkpoints import bundle

    origin = bundle.read_pretrained(config.init_from).model
  if config.data.store or config.data.stores:
    # Grain starts JAX, whose environment this process must set first.
    from launch.run.stores import open_stores

    stores = open_stores(config)
    return resolve(config, stores, origin, topology.placeholders), []
  num_tokens = min(TOKENS, config.model.vocab_size or TOKENS)
  resolved = resolve(
    config, MadeUpStores(num_tokens), origin, topology.placeholders
  )
  notes = []
  if not config.model.vocab_size:
    notes.append(
      f"model.vocab_size=0: planned with {TOKENS:,} tokens, an embedding table "
      f"of {resolved.config.model.vocab_size:,} rows"
    )
  packs = {"data.max_packs": config.data.max_packs}
  if config.phase2.steps:
    packs["phase2.max_packs"] = config.phase2.max_packs
  notes += [
    f"{name}=0: planned with one example a row; a store may pack more"
    for name, value in packs.items()
    if not value
  ]
  return resolved, notes


def define_flags() -> None:
  """Define the flags; not at import, since benchmarks import this module."""
  shipped_configs.define_flag("pretrain:size=large,seq=512")
  flags.DEFINE_string(
    "topology", None, "Chips of one slice, such as v5e:16x16 or v4:4x4x8."
  )
  flags.DEFINE_integer("num_slices", 1, "Number of slices of this topology.")
  flags.DEFINE_string("output", None, f"Folder for {JSON} and {HTML}.")
  flags.DEFINE_bool("search", False, "Search for the largest batch that fits.")
  flags.DEFINE_float(
    "search_minutes",
    None,
    f"Time after which --search begins no candidate; {_MINUTES} without it.",
  )
  flags.DEFINE_float(
    "price_per_chip_hour", None, "Price of a chip-hour, in any currency."
  )
  flags.DEFINE_bool(
    "count",
    True,
    "Also report the compiler's count of FLOPs and bytes; takes two more "
    "compiles.",
  )
  flags.mark_flags_as_required(["config", "topology"])


def main(argv: Sequence[str]) -> None:
  """Plan or search as the flags say."""
  values = flags.FLAGS
  price = values.price_per_chip_hour
  _check_price(price, values.search)
  _check_minutes(values.search_minutes, values.search)
  config = from_mapping(PretrainConfig, values.config.to_dict())
  topology = topologies.find(values.topology, values.num_slices)
  check_output(values.output)
  if os.environ.get(_COMPILES) != "1":
    # It imports JAX, whose environment the child sets first.
    from launch.run.stores import check_outside_inputs

    check_outside_inputs("output", values.output, config)
    backend.check_flags()
    _run_in_child(topology)
  result = (
    search_batch(config, topology, values.search_minutes or _MINUTES)
    if values.search
    else plan_run(
      config, topology, price_per_chip_hour=price, count=values.count
    )
  )
  from launch.reports import plan_report, plan_table

  plan_table.show(result)
  if values.output:
    folder = pathlib.Path(values.output)
    folder.mkdir(parents=True, exist_ok=True)
    for path in plan_report.write(result, folder / HTML, folder / JSON):
      print(f"wrote {path}")


def _report(line: str) -> None:
  print(f"{line} …", file=sys.stderr, flush=True)


def check_output(output: str | None) -> None:
  """Refuse a folder that cannot be made, or has another `plan.html`."""
  output_paths.check_folder("output", output)
  output_paths.check_begun("output", output, (JSON,), (HTML,))
  if output:
    from launch.reports import plan_report

    page = pathlib.Path(output) / HTML
    output_paths.check_page("output", page, plan_report.TITLE)


def _check_price(price: float | None, search: bool) -> None:
  if price is None:
    return
  if not 0 <= price < math.inf:
    raise ValueError(f"--price_per_chip_hour={price}; give 0 or more")
  if search:
    raise ValueError(
      f"--price_per_chip_hour={price} has no effect with --search, which plans "
      "steps and not a run; leave one of them out"
    )


def _check_minutes(minutes: float | None, search: bool) -> None:
  if minutes is None:
    return
  if not 0 < minutes < math.inf:
    raise ValueError(f"--search_minutes={minutes}; give more than 0")
  if not search:
    raise ValueError(
      f"--search_minutes={minutes} has no effect without --search; give both "
      "or neither"
    )


def _run_in_child(topology: topologies.Topology) -> None:
  """Run this command in a child process, and exit with its exit code."""
  environment.set_environment()
  with subprocess.Popen(
    [sys.executable, "-m", "launch.plan", *sys.argv[1:]],
    env={**os.environ, _COMPILES: "1"},
    stderr=subprocess.PIPE,
    text=True,
  ) as process:
    assert process.stderr
    withheld = _pass_on(process.stderr)
    code = process.wait()
  if code < 0:
    cli.fail(
      f"the compiler crashed with signal {-code} for {topology.name}; try "
      "another version: pip install -U libtpu"
    )
  print(withheld, end="", file=sys.stderr)
  sys.exit(code)


def _pass_on(lines: IO[str]) -> str:
  """Print lines as they come; return the dump of a crash unprinted."""
  for line in lines:
    if _CRASH.match(line):
      return line + lines.read()
    print(line, end="", file=sys.stderr, flush=True)
  return ""


if __name__ == "__main__":
  define_flags()
  cli.run(main)
