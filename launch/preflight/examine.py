# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What `launch.doctor` looks at: a store, a run, a bundle, a task.

A mistake that would end the command itself is a row that fails, so that one
call shows everything.
"""

import dataclasses
import os
import pathlib
import tempfile
from collections.abc import Iterable, Iterator

import rich.console
import rich.progress

from bertjax.checkpoints import bundle as bundles
from bertjax.config import FinetuneConfig, PretrainConfig, identity
from data_pipelines.store.layout import TOKENIZER
from data_pipelines.store.manifest import check_file, read_manifest
from data_pipelines.store.remote_store import fetch, is_remote
from data_pipelines.store.store import open_store
from data_pipelines.tokenizers import tokenizers
from launch import tasks
from launch.hosts import coordinator_port
from launch.preflight.findings import Finding, Level
from launch.preflight.memory import judge_memory
from launch.preflight.policy import Policy
from launch.preflight.run import judge_run
from launch.preflight.store import judge_store, measure_store
from launch.preflight.task import judge_task
from launch.preflight.thresholds import CHECKS
from launch.run import ownership
from launch.run.assembly import assemble
from launch.run.origin import identity_in, read_past


@dataclasses.dataclass(frozen=True)
class Row:
  """A line of the doctor's table.

  Attributes:
    what: what was examined.
    name: the check.
    level: pass, warn or fail.
    figure, limit: as text; "" where the check has none.
    text: what was found and how to mend it.
  """

  what: str
  name: str
  level: Level
  figure: str = ""
  limit: str = ""
  text: str = ""


def examine_store(
  path: str, console: rich.console.Console, policy: Policy
) -> Iterator[Row]:
  """Read every file of a store, and judge the store.

  Raises:
    ValueError: `path` is not a store.
  """
  folder = fetch(path) if is_remote(path) else pathlib.Path(path)
  manifest, _ = read_manifest(folder)
  entries = list(manifest.files)
  damaged = False
  for entry in rich.progress.track(
    entries, "reading", console=console, disable=not console.is_terminal
  ):
    fault = check_file(folder, entry)
    damaged |= fault is not None
    yield _state(entry.name, "checksum", fault, "prepare the store again")
  fault = _tokenizer_fault(folder, manifest.tokenizer.sha256)
  damaged |= fault is not None
  yield _state(TOKENIZER, "checksum", fault, "prepare the store again")
  if not damaged:
    yield from _rows(
      path, judge_store(measure_store(open_store(folder)), policy)
    )


def examine_run(
  config: PretrainConfig, workdir: str | None, policy: Policy
) -> Iterator[Row]:
  """Judge a run as `launch.pretrain` would, and what its workdir has.

  Args:
    config: as the user gave it.
    workdir: folder of the run; None looks at no workdir, and takes the disk of
      temporary files.
    policy: limits and levels that the user set.
  """
  folder = pathlib.Path(workdir or tempfile.gettempdir())
  past = read_past(config, folder)
  try:
    spec = assemble(config, past)
  except (ValueError, OSError) as error:
    yield Row("run", "config", "fail", text=str(error))
    return
  yield Row("run", "config", "pass")
  yield from _rows("run", judge_run(spec, folder, policy))
  yield from _rows("run", judge_memory(spec, spec.phases, policy))
  yield _port()
  if workdir is None:
    return
  held = None
  if ownership.is_held(folder):
    held = f"another run holds it ({ownership.read_owner(folder)})"
  yield _state(workdir, "one_run", held, "end that run, or give another folder")
  if past.record is None:
    return
  fault = None
  try:
    identity.check_identity(
      identity_in(past.record),
      spec.identity,
      allow_changes=config.allow_changes,
    )
  except ValueError as error:
    fault = str(error)
  yield _state(workdir, "same_run", fault, "give another --workdir")


def examine_bundle(path: str) -> Iterator[Row]:
  """Load a bundle, which compares it with its digests."""
  fault = None
  try:
    bundles.load_bundle(path)
  except (ValueError, OSError) as error:
    fault = str(error)
  yield _state(path, "bundle", fault, "copy it again, or write it again")


def examine_task(
  config: FinetuneConfig, bundle: str, policy: Policy
) -> Iterator[Row]:
  """Read the data of a task as `launch.finetune` would, and judge them."""
  try:
    info = bundles.read_pretrained(bundle)
    data, _ = tasks.load_data(config, info.model, info.tokenizer_path)
  except (ValueError, OSError) as error:
    yield Row("task", "config", "fail", text=str(error))
    return
  findings = judge_task(
    data.figures, config.seq_length, info.details.tokens_per_word, policy
  )
  yield from _rows("task", findings)


def _rows(what: str, findings: Iterable[Finding]) -> Iterator[Row]:
  for each in findings:
    check = CHECKS[each.name]
    limit = "" if each.threshold is None else check.show(each.threshold)
    yield Row(
      what,
      each.name,
      each.level,
      check.show(each.figure),
      limit,
      f"{each.text}; fix: {each.fix}",
    )


def _state(what: str, name: str, fault: str | None, fix: str) -> Row:
  if fault is None:
    return Row(what, name, "pass")
  return Row(what, name, "fail", text=f"{fault}; fix: {fix}")


def _tokenizer_fault(folder: pathlib.Path, sha256: str) -> str | None:
  try:
    found = tokenizers.load(folder / TOKENIZER).sha256
  except ValueError as error:
    return f"damaged ({error})"
  return None if found == sha256 else "changed since the store was made"


def _port() -> Row:
  """Say at which port the hosts of a Cloud TPU meet."""
  port = os.environ.get(coordinator_port.VARIABLE) or str(coordinator_port.PORT)
  if port in map(str, coordinator_port.OPEN):
    return Row("hosts", "coordinator_port", "pass", port)
  return Row(
    "hosts",
    "coordinator_port",
    "warn",
    port,
    text=f"Cloud TPU's firewall rule does not open the port of "
    f"{coordinator_port.VARIABLE}={port}; fix: open it between the hosts, or "
    "unset the variable",
  )
