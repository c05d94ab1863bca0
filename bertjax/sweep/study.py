# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Trials of a sweep, and the config of each."""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from bertjax.config import (
  FinetuneConfig,
  PretrainConfig,
  ProbesConfig,
  SweepConfig,
  TaskConfig,
  check_read,
  check_types,
  flatten_fields,
  from_mapping,
  nest,
  to_mapping,
)
from bertjax.config.fields import ReadWhen, drop_unread, extras, unread, walk
from bertjax.config.phases import split_phases
from bertjax.sweep.axes import expand, merge
from bertjax.sweep.margins import read_margins
from bertjax.trials.store import Trial

# The fields of an objective that decide which rows an arm has: the others mask
# them or weigh their losses, and validation masks the rows of all arms alike.
ROW_FIELDS = ("input_format", "next_sentence", "short_rate")
_PROBE = "finetune"


def make_trials(config: SweepConfig) -> list[Trial]:
  """Return a trial for every chosen arm and seed, those of a seed together.

  A sweep that is interrupted then has complete comparisons. The baseline comes
  first.

  Raises:
    ValueError: a field does not take its value, there are fewer than two arms,
      the baseline is not an arm, an arm changes a field that does not exist,
      a margin is none, or a field that no trial reads has a value.
  """
  check_types(config)
  check_read(config, among=("bundle", "match"))
  read_margins(config.margins)
  _check_probes(config)
  given = config
  config = expand(config)
  if len(config.chosen) < 2 or config.baseline not in config.arms:
    raise ValueError(
      f"baseline={given.baseline!r} with arms {', '.join(config.chosen)}; give "
      "two arms or more, one of them the baseline"
    )
  _check_unread(config)
  first = compared_with(config)
  base = base_fields(config)
  return [
    Trial(
      f"{arm}-seed{seed}", {"arm": arm, "seed": seed, **config.arms[arm]}, base
    )
    for seed in range(config.seed, config.seed + config.seeds)
    for arm in sorted(config.chosen, key=lambda arm: arm != first)
  ]


def base_fields(config: SweepConfig) -> dict[str, Any]:
  """Return {name: value} of all fields that an arm may change.

  It has them unless it changes them, by the names that the arms give them.
  """
  tuned = to_mapping(config.finetune)
  if config.trains == _PROBE:
    return flatten_fields(tuned)
  return {
    **flatten_fields(to_mapping(config.pretrain)),
    **flatten_fields(tuned, f"{_PROBE}."),
  }


def compared_with(config: SweepConfig) -> str:
  """Return the arm that others are compared with: the baseline if it runs."""
  chosen = config.chosen
  return config.baseline if config.baseline in chosen else chosen[0]


def pretrain_config(config: SweepConfig, arm: str, seed: int) -> PretrainConfig:
  """Return the config of an arm's pre-training run with a seed.

  Fields of the base that only other arms read have their default in this arm.

  Raises:
    ValueError: the arm changes an unknown field.
  """
  changes = _changes(config, arm, "pretrain")
  base = drop_unread(_with(config.pretrain, changes, seed))
  return from_mapping(PretrainConfig, merge(to_mapping(base), changes))


def probe_tasks(config: SweepConfig) -> tuple[str, ...]:
  """Return the names of the tasks that trials are probed by.

  The only one is "", `finetune` itself, where none is named.
  """
  return tuple(config.probes.tasks) or ("",)


def finetune_config(
  config: SweepConfig, arm: str, seed: int, task: str = ""
) -> FinetuneConfig:
  """Return how an arm is fine-tuned: as a probe, or as the whole trial.

  As a whole trial it has one seed, because the sweep counts them up.

  Args:
    config: an expanded config.
    arm: name of the arm.
    seed: seed of the trial.
    task: one of `probe_tasks`.

  Raises:
    ValueError: the arm or the task changes an unknown field.
  """
  changes = _changes(config, arm, _PROBE)
  if config.trains != _PROBE:
    base = to_mapping(_task_config(config, task))
    return from_mapping(FinetuneConfig, merge(base, changes))
  return dataclasses.replace(_with(config.finetune, changes, seed), seeds=1)


def _task_config(config: SweepConfig, task: str) -> FinetuneConfig:
  """Return how a task that probes is fine-tuned, without changes of an arm."""
  if not task:
    return config.finetune
  # Nothing of the data of another task, nor its score.
  base = {
    **to_mapping(config.finetune),
    "task": to_mapping(TaskConfig()),
    "metric": "",
  }
  try:
    own = nest(flatten_fields(config.probes.tasks[task]))
    return from_mapping(FinetuneConfig, merge(base, own))
  except ValueError as error:
    raise ValueError(f"probes.tasks.{task}: {error}") from error


def equal_rows(config: SweepConfig) -> list[list[str]]:
  """Return the chosen arms in groups whose validation rows are the same.

  The rows are those of the last phase, which the last values are of.
  """
  config = expand(config)
  groups: dict[tuple[Any, ...], list[str]] = {}
  for arm in config.chosen:
    run = pretrain_config(config, arm, config.seed)
    objective, data = run.objective, split_phases(run)[-1].config.data
    rows = tuple(getattr(objective, name) for name in ROW_FIELDS)
    shape = (data.store, data.stores, data.seq_length, data.max_packs)
    groups.setdefault((*rows, *shape, run.evaluation), []).append(arm)
  return list(groups.values())


def without_effect(run: PretrainConfig) -> list[str]:
  """Return the fields that a run does not read."""
  return [
    path
    for group, path, field in walk(run)
    for rule in extras(type(group), field.name, ReadWhen)
    if not rule.holds(group, run)
  ]


def _check_probes(config: SweepConfig) -> None:
  """Refuse probes that cannot be made or named, or that nothing reads."""
  probes = config.probes
  if config.trains == _PROBE:
    if probes != ProbesConfig():
      raise ValueError(
        "probes have no effect with trains=finetune: its trials are scored on "
        "their task alone; leave config.probes as it is"
      )
    return
  if (
    not probes.at
    or probes.at[-1] != 1
    or list(probes.at) != sorted(set(probes.at))
  ):
    shown = ",".join(f"{share:g}" for share in probes.at)
    raise ValueError(
      f"probes.at={shown}; give ascending shares of the steps that end with "
      "the whole run, as 0.25,0.5,1"
    )
  for name, own in probes.tasks.items():
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
      raise ValueError(
        f"probes.tasks has the name {name!r}, which is to name a folder and a "
        "score; give letters, digits, _ and -"
      )
    if not isinstance(own, Mapping):
      raise ValueError(
        f"probes.tasks.{name}={own!r}; give the fields of finetune that it "
        'changes, as {"task": {"kind": "table", "train": "train.csv"}}'
      )
    _task_config(config, name)


def _check_unread(config: SweepConfig) -> None:
  """Refuse values that no arm reads, and seeds that the sweep replaces."""
  group = config.trains
  if seed := vars(config)[group].seed:
    raise ValueError(
      f"{group}.seed={seed} has no effect: trials count up from seed; give "
      f"that, and leave {group}.seed at 0"
    )
  base = vars(config)[group]
  runs = [
    _with(base, _changes(config, arm, group), config.seed)
    for arm in config.arms
  ]
  never_read = [{path for path, *_ in unread(run)} for run in runs]
  check_read(runs[0], among=set.intersection(*never_read))


def _changes(config: SweepConfig, arm: str, group: str) -> Mapping[str, Any]:
  """Return what an arm changes in `pretrain` or in `finetune`."""
  changes = config.arms[arm]
  if group == config.trains:
    return {name: changes[name] for name in changes if name != _PROBE}
  return changes.get(group, {})


def _with(base: Any, changes: Mapping[str, Any], seed: int) -> Any:
  fields = {**merge(to_mapping(base), changes), "seed": seed}
  return from_mapping(type(base), fields)
