# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Write what runs the trials of a study elsewhere: command lines or JobSets."""

import functools
import math
import os
import pathlib
import re
import shlex
from collections.abc import Collection, Sequence

from absl import flags

from bertjax.config import SweepConfig
from bertjax.config.finetune import HUBS
from bertjax.sweep import study
from bertjax.trials.store import Trial
from launch.pods import buckets, jobset, topologies
from launch.pods.workload import Workload
from launch.sweep.elsewhere import MakeFiles
from launch.sweep.plan import Plan

# In the folder of the study.
COMMANDS = "trials.sh"
JOBSETS = "jobsets"
# The task of `finetune`, and the fields of a task that name files or folders.
_TASK = "config.finetune.task"
_FILES = ("folder", "train", "dev", "test")
# Flags of a JobSet, by whether it needs them.
_JOBSET = {
  "topology": True,
  "image": True,
  "name": True,
  "queue": False,
  "namespace": False,
  "service_account": False,
  "spot": False,
}


def define_flags(values: flags.FlagValues = flags.FLAGS) -> None:
  """Define --backend and the flags of JobSets."""
  flags.DEFINE_enum(
    "backend",
    "here",
    ["here", "commands", "jobset"],
    "Run the trials here; or write a command line (commands) or a JobSet "
    "(jobset) for each, to run anywhere, and --collect gathers the results.",
    flag_values=values,
  )
  for name, default, text in (
    (
      "topology",
      None,
      "Slice of each trial, of one host, as v5e:2x4; or that of --dry_run",
    ),
    ("image", None, "Image that has bertjax"),
    ("name", None, "Beginning of the names of the JobSets"),
    ("queue", "", "LocalQueue of Kueue"),
    ("namespace", "default", "Kubernetes namespace"),
    ("service_account", "", "Account that may use the bucket"),
  ):
    flags.DEFINE_string(name, default, f"{text} (jobset).", values)
  flags.DEFINE_bool("spot", False, "Use spot machines (jobset).", values)


def check_flags(
  values: flags.FlagValues = flags.FLAGS, free: Collection[str] = ()
) -> None:
  """Refuse flags of JobSets that are missing or that have no effect.

  Args:
    values: the flags.
    free: names of flags that another way to run reads.

  Raises:
    ValueError: names the flag.
  """
  backend = values.backend
  for name, needed in _JOBSET.items():
    if values[name].present and backend != "jobset" and name not in free:
      raise ValueError(
        f"--{name} has no effect with --backend={backend}; leave it out, or "
        "give --backend=jobset"
      )
    if needed and backend == "jobset" and not values[name].value:
      raise ValueError(f"--backend=jobset needs --{name}=…")


def check_price(price: float | None, topology: str | None) -> None:
  """Refuse a price that is none, or that is of no chips.

  Raises:
    ValueError: names the flag and the value.
  """
  if price is None:
    return
  if not 0 <= price < math.inf:
    raise ValueError(f"--price_per_chip_hour={price}; give 0 or more")
  if not topology:
    raise ValueError(
      f"--price_per_chip_hour={price} has no effect without --dry_run and "
      "--topology, such as v5e:2x4; give all of them, or leave it out"
    )


def check_speed(rate: float, *, dry_run: bool) -> None:
  """Refuse a speed where no hours are reckoned.

  Raises:
    ValueError: names the flag and the value.
  """
  if rate and not dry_run:
    raise ValueError(
      f"--flops_per_second={rate:g} has no effect without --dry_run; give "
      "both, or leave it out"
    )


def make_commands(
  workdir: str, plan: Plan, trials: Sequence[Trial]
) -> dict[str, str]:
  """Return {name of a file: its text}: a script of one line a trial."""
  folder = os.path.abspath(workdir)
  collect = ("python", "-m", "launch.sweep", f"--workdir={folder}", "--collect")
  lines = [
    "#!/bin/sh",
    f"# {len(trials)} of {len(plan.trials)} trials: each line runs one, or",
    "# continues it, on any machine that has this folder. Afterwards:",
    f"#   {shlex.join(collect)}",
    *(shlex.join(_command(folder, trial)) for trial in trials),
  ]
  return {COMMANDS: "\n".join(lines) + "\n"}


def make_jobsets(
  workdir: str,
  values: flags.FlagValues,
  plan: Plan,
  trials: Sequence[Trial],
) -> dict[str, str]:
  """Return {name of a file: its text}: a JobSet a trial.

  Raises:
    ValueError: pods cannot read the folder or a store, a trial would need
      several processes, or Kubernetes would refuse a name.
  """
  folder = os.path.abspath(workdir)
  bucket = _bucket("workdir", folder)
  _check_places(plan, bucket)
  where = topologies.find(values.topology)
  if where.hosts > 1:
    raise ValueError(
      f"--topology={values.topology} has {where.hosts} hosts, and a trial runs "
      "in one process; give a slice of one host, as v5e:2x4"
    )
  found: dict[str, str] = {}
  names: dict[str, str] = {}
  for trial in trials:
    slug = re.sub(r"[^a-z0-9]+", "-", trial.name.lower()).strip("-")
    name = f"{values.name}-{slug}"
    if names.setdefault(name, trial.name) != trial.name:
      raise ValueError(
        f"{names[name]} and {trial.name} would both be the JobSet {name}; give "
        "an arm another name"
      )
    workload = Workload(
      name=name,
      slice=where,
      slices=1,
      command=_command(folder, trial),
      bucket=bucket,
      spot=values.spot,
      service_account=values.service_account,
    )
    found[f"{JOBSETS}/{trial.name}.yaml"] = jobset.write(
      workload,
      image=values.image,
      queue=values.queue,
      namespace=values.namespace,
    )
  return found


def make_files(
  workdir: str, values: flags.FlagValues = flags.FLAGS
) -> MakeFiles:
  """Return what makes the files of the backend that the flags name."""
  if values.backend == "commands":
    return functools.partial(make_commands, workdir)
  return functools.partial(make_jobsets, workdir, values)


def _bucket(flag: str, folder: str) -> str:
  """Return the bucket of a folder, which pods see at the same place."""
  root = pathlib.Path(buckets.ROOT)
  path = pathlib.Path(folder)
  if root not in path.parents:
    raise ValueError(
      f"--{flag}={folder}: pods mount a bucket as {root}/BUCKET; mount it here "
      f"as well, and give {root}/BUCKET/…, so that they read what is written "
      "here"
    )
  return path.relative_to(root).parts[0]


def _check_places(plan: Plan, bucket: str) -> None:
  """Refuse data that is not in the bucket of the study."""
  for flag, place in _places(plan.config):
    if (other := _bucket(flag, place)) != bucket:
      raise ValueError(
        f"--{flag}={place} is in the bucket {other}, and the workdir in "
        f"{bucket}; a pod mounts one bucket, so copy it there"
      )


def _places(config: SweepConfig) -> list[tuple[str, str]]:
  """Return (flag, path) of all files and folders that the trials read.

  What is loaded by name, from TFDS or the hub, is not among them.
  """
  found = [("bundle", config.bundle)]
  for arm in config.chosen:
    if config.trains == "pretrain":
      run = study.pretrain_config(config, arm, config.seed)
      mixed = run.data.stores.split(",")
      further = run.evaluation.stores.split(",")
      found += [
        ("config.pretrain.data.store", run.data.store),
        ("config.pretrain.init_from", run.init_from),
        *(("config.pretrain.data.stores", s.rpartition("=")[0]) for s in mixed),
        *(
          ("config.pretrain.evaluation.stores", s.rpartition("=")[2])
          for s in further
        ),
      ]
    for name in study.probe_tasks(config):
      task = study.finetune_config(config, arm, config.seed, name).task
      own = f"config.probes.tasks.{name}.task" if name else _TASK
      found += [(f"{own}.{field}", vars(task)[field]) for field in _FILES]
  paths = dict.fromkeys((flag, path.strip()) for flag, path in found)
  return [
    (flag, path) for flag, path in paths if path and not path.startswith(HUBS)
  ]


def _command(folder: str, trial: Trial) -> tuple[str, ...]:
  return (
    *("python", "-m", "launch.sweep"),
    f"--workdir={folder}",
    f"--trial={trial.name}",
  )
