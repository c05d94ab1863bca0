# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
r"""Plan a run on TPUs from a host without any: memory, collectives, bounds.

  python -m launch.plan --config=configs/pretrain.py:size=large,seq=512 \
    --topology=v5e:16x16 --config.batch_size=4096 --config.mesh.zero1=True \
    --config.compute.dtype=bfloat16 --config.compute.dropout_rng=rbg

Needs libtpu (`pip install 'bertjax[plan]'`), no TPU and no data. The train step
that `launch.pretrain` would run is compiled for the topology, in about a
minute; --output=DIR keeps plan.json and plan.html. --search looks for the
largest batch a chip over shardings and remat policies instead of planning the
batch that is given. Times are bounds, and never measurements.
"""

import dataclasses
import math
import os
import pathlib
import re
import subprocess
import sys
from collections.abc import Sequence
from typing import IO, Any

from absl import flags
from ml_collections import config_flags

from bertjax.config import PretrainConfig, from_mapping, to_mapping
from bertjax.plan import environment
from bertjax.plan.hardware import topologies
from bertjax.plan.vocabulary import TOKENS
from launch import cli
from launch.run.resolve import MadeUpStores, Resolved, resolve

# Set in the process that compiles: where the compiler crashes, as some
# versions of libtpu do for some chips, another is left to say so.
_COMPILES = "BERTJAX_PLAN_COMPILES"
# How the dump of a crash begins.
_CRASH = re.compile(r"\*\*\* SIG|https://symbolize|Fatal Python|PC: @")
JSON = "plan.json"
HTML = "plan.html"


def run(
  config: PretrainConfig,
  topology: topologies.Topology,
  *,
  search: bool = False,
  price_per_chip_hour: float | None = None,
  count: bool = True,
) -> dict[str, Any]:
  """Plan a run, or search for its largest batch; prints what it compiles.

  Returns:
    What `plan.json` holds: see `bertjax.plan.planning.make_plan`, or with
    `search` `topology`, `config` and `candidates` of `bertjax.plan.search`.

  Raises:
    ValueError: a mistake of the user's, or libtpu cannot be had.
  """
  # Imported here, since these import JAX: it reads the environment at once, and
  # a mistyped flag is refused before that takes its seconds.
  from bertjax.plan import planning
  from bertjax.plan import search as searching

  tell = lambda line: print(f"{line} …", file=sys.stderr, flush=True)
  if not search:
    resolved, notes = resolve_for(config, topology)
    plan = planning.make_plan(
      resolved.config,
      resolved.phases,
      topology,
      price_per_chip_hour=price_per_chip_hour,
      count=count,
      tell=tell,
    )
    return {**plan, "notes": notes}
  smallest = searching.smallest_run(config, topology)
  resolved, notes = resolve_for(smallest, topology)
  return {
    "bound": planning.BOUND,
    "topology": planning.describe_topology(topology),
    "config": to_mapping(config),
    "notes": notes,
    "candidates": searching.search(resolved.config, topology, tell),
  }


def resolve_for(
  config: PretrainConfig, topology: topologies.Topology
) -> tuple[Resolved, list[str]]:
  """Resolve a config without a store; neither JAX nor libtpu is needed.

  Returns:
    The resolved config, and notes on what a store would have decided.

  Raises:
    ValueError: a mistake of the user's, in one line.
  """
  if topology.num_slices > 1 and not config.mesh.slices:
    mesh = dataclasses.replace(config.mesh, slices=topology.num_slices)
    config = dataclasses.replace(config, mesh=mesh)
  num_tokens = min(TOKENS, config.model.vocab_size or TOKENS)
  resolved = resolve(
    config, MadeUpStores(num_tokens), None, topology.placeholders
  )
  notes, second = [], config.phase2
  if not config.model.vocab_size:
    notes.append(
      f"model.vocab_size=0: planned with {TOKENS:,} tokens, an embedding table "
      f"of {resolved.config.model.vocab_size:,} rows"
    )
  if not config.data.max_packs or (second.steps and not second.max_packs):
    notes.append(
      "data.max_packs=0: planned with one example a row; a store may pack more"
    )
  return resolved, notes


def define_flags() -> None:
  """Define the flags; not at import, since `run` has other callers."""
  config_flags.DEFINE_config_file(
    "config",
    None,
    "Config file, as configs/pretrain.py:size=large,seq=512.",
    lock_config=True,
  )
  flags.DEFINE_string(
    "topology", None, "Chips of one slice, as v5e:16x16 or v4:4x4x8."
  )
  flags.DEFINE_integer("num_slices", 1, "Slices of that topology.")
  flags.DEFINE_string("output", None, f"Folder for {JSON} and {HTML}.")
  flags.DEFINE_bool("search", False, "Look for the largest batch a chip.")
  flags.DEFINE_float("price_per_chip_hour", None, "In any currency.")
  flags.DEFINE_bool(
    "count", True, "Have the compiler count FLOPs and bytes too: two compiles."
  )
  flags.mark_flags_as_required(["config", "topology"])


def main(argv: Sequence[str]) -> None:
  """Plan what the flags say."""
  values = flags.FLAGS
  price = values.price_per_chip_hour
  _check_price(price, values.search)
  config = from_mapping(PretrainConfig, values.config.to_dict())
  topology = topologies.find(values.topology, values.num_slices)
  _check_output(values.output)
  if os.environ.get(_COMPILES) != "1":
    _compile_apart(topology)
  result = run(
    config,
    topology,
    search=values.search,
    price_per_chip_hour=price,
    count=values.count,
  )
  from launch.reports import plan_report, plan_table

  plan_table.show(result)
  if values.output:
    folder = pathlib.Path(values.output)
    folder.mkdir(parents=True, exist_ok=True)
    for path in plan_report.write(result, folder / HTML, folder / JSON):
      print(f"wrote {path}")


def _check_price(price: float | None, search: bool) -> None:
  if price is None:
    return
  if not 0 <= price < math.inf:
    raise ValueError(f"--price_per_chip_hour={price}; give 0 or more")
  if search:
    raise ValueError(
      f"--price_per_chip_hour={price} is for what a run costs, which --search "
      "does not reckon; leave one of them out"
    )


def _check_output(value: str | None) -> None:
  """Refuse what no folder can be, before minutes of compiling for it."""
  cli.check_local_folder("output", value)
  if not value:
    return
  folder = pathlib.Path(value).absolute()
  # Nothing is made yet, since the compiler may have something to say.
  there = next(path for path in (folder, *folder.parents) if path.exists())
  if not there.is_dir():
    raise ValueError(f"--output={value}: {there} is a file; give a folder")
  if not os.access(there, os.W_OK | os.X_OK):
    raise ValueError(f"--output={value}: {there} cannot be written to")


def _compile_apart(topology: topologies.Topology) -> None:
  """Do it in another process, and exit as that one does."""
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
      f"the compiler crashed with signal {-code} at {topology.name}; try "
      "another version: pip install -U libtpu"
    )
  print(withheld, end="", file=sys.stderr)
  sys.exit(code)


def _pass_on(lines: IO[str]) -> str:
  """Print lines as they come, up to a crash's; return those from there on."""
  for line in lines:
    if _CRASH.match(line):
      return line + lines.read()
    print(line, end="", file=sys.stderr, flush=True)
  return ""


if __name__ == "__main__":
  define_flags()
  cli.run(main)
