# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Flags that say which study runs, in place of fields of its config."""

import dataclasses
import shlex
from collections.abc import Mapping
from typing import Any

from absl import flags

from bertjax.config import (
  SweepConfig,
  TaskConfig,
  flatten_fields,
  from_mapping,
  to_mapping,
)
from bertjax.sweep.axes import format_task, parse_task

STUDY = ("config", "grid", "arms", "seeds", "match", "bundle", "probe")


def define_flags() -> None:
  """Define the flags that take the place of fields of the config."""
  flags.DEFINE_string(
    "grid",
    None,
    "More axes of any fields: 'FIELD=VALUE,VALUE;FIELD=VALUE'; every arm runs "
    "with every combination. Instead of --config.grid.",
  )
  flags.DEFINE_list(
    "arms",
    None,
    "Names of the arms that run, or short ones, as nsp for mlm_nsp. Instead of "
    "--config.chosen.",
  )
  flags.DEFINE_integer(
    "seeds", None, "Seeds of every arm. Instead of --config.seeds."
  )
  flags.DEFINE_string(
    "match",
    None,
    "What every arm has as much of as the baseline: steps, tokens or flops. "
    "Instead of --config.match.",
  )
  flags.DEFINE_string(
    "bundle",
    None,
    "Folder of the bundle that a study of fine-tuning starts from. Instead of "
    "--config.bundle.",
  )
  flags.DEFINE_multi_string(
    "probe",
    [],
    "A task that every pre-trained trial is fine-tuned for, as "
    "'NAME:FIELD=VALUE;FIELD=VALUE' of fine-tuning, such as "
    "'rte:task.kind=glue;task.name=rte;task.folder=DIR'; may be given again. "
    "Beside the tasks that the config names; instead of "
    "--config.finetune.task where it names none.",
  )


def from_flags(values: flags.FlagValues = flags.FLAGS) -> SweepConfig:
  """Return the config of the flags.

  Raises:
    ValueError: a field does not take its value.
  """
  config = from_mapping(SweepConfig, values.config.to_dict())
  given = {
    "grid": values.grid,
    "chosen": values.arms and tuple(name.strip() for name in values.arms),
    "seeds": values.seeds,
    "match": values.match,
    "bundle": values.bundle,
  }
  tasks = {**config.probes.tasks}
  for name, task in map(parse_task, values.probe):
    if name in tasks:
      raise ValueError(
        f"--probe names {name}, which the study has already; give each a name "
        "of its own"
      )
    tasks[name] = task
  if values.probe:
    if line := describe_replaced(config, tasks):
      print(line, flush=True)
    probes = dataclasses.replace(config.probes, tasks=tasks)
    config = dataclasses.replace(config, probes=probes)
  return dataclasses.replace(
    config,
    **{name: value for name, value in given.items() if value is not None},
  )


def describe_replaced(config: SweepConfig, tasks: Mapping[str, Any]) -> str:
  """Return which task no trial is fine-tuned for because others are named.

  Args:
    config: the config before the flags of tasks.
    tasks: the tasks with those of the flags.

  Returns:
    A line that says how to keep it; "" where nothing is replaced.
  """
  if config.probes.tasks or config.trains != "pretrain":
    return ""
  default = flatten_fields({"task": to_mapping(TaskConfig())})
  own = flatten_fields({"task": to_mapping(config.finetune.task)})
  fields = {name: own[name] for name in own if own[name] != default[name]}
  if config.finetune.metric:
    fields["metric"] = config.finetune.metric
  kept = [
    each
    for each in tasks.values()
    if flatten_fields(each).items() >= fields.items()
  ]
  if kept or not fields:
    return ""
  task = config.finetune.task
  name = next(
    (n for n in (task.name, task.kind) if n not in ("", *tasks)), "own"
  )
  return (
    f"Trials are fine-tuned for {', '.join(tasks)}, and not for {task.kind}, "
    "which probes a study that names no task; to keep it, add "
    f"--probe={shlex.quote(format_task(name, fields))}"
  )
