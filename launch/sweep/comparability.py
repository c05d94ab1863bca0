# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Whether trials can be compared: their differences, and the code they ran."""

import functools
import hashlib
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from bertjax import files
from bertjax.config import SweepConfig, flatten_fields, to_mapping
from bertjax.sweep import study
from bertjax.sweep.axes import axes
from bertjax.sweep.differences import Differences, find_differences, group
from bertjax.trials.store import Trial, TrialStore
from launch.hosts.start_up import code_facts
from launch.preflight.findings import Finding, judge, listed
from launch.preflight.policy import Policy
from launch.run.assembly import RunSpec

# In the folder of a trial: the code that began it.
CODE = "code.json"
# Sources whose changes may change a result. Configs are compared by value.
_SOURCES = (
  *("source bertjax/", "source data_pipelines/", "source launch/run/"),
  # What probes measure, and on what.
  *("source launch/sweep/frozen.py", "source launch/sweep/probes.py"),
  *("source launch/finetune.py", "source launch/tasks.py"),
)
_PACKAGES = ("bertjax", "jax", "jaxlib", "flax", "optax", "numpy")
# Compared by what they contain, or set by the sweep.
_FREE = ("data.store", "data.stores", "init_from", "seed")


def compare_arms(
  given: SweepConfig, config: SweepConfig, parts: Mapping[str, RunSpec]
) -> Differences:
  """Return in what the arms of a study differ.

  Args:
    given: the expanded config, whose arms change their axes only.
    config: the config that runs.
    parts: parts of each arm's run; none where a bundle is fine-tuned.

  Raises:
    ValueError: arms differ in a field that is no axis.
  """
  seeds = range(config.seed, config.seed + config.seeds)
  equal = {
    "order of examples, masks and dropout": f"seeds {seeds[0]} to {seeds[-1]}",
    "code": code_version()[:12],
  }
  if not parts:
    return _compare_tuning(given, config, equal)
  chosen = {arm: parts[arm] for arm in config.chosen}
  runs = {
    arm: study.pretrain_config(config, arm, config.seed) for arm in chosen
  }
  fields = {arm: _fields(config, arm, part) for arm, part in chosen.items()}
  shared = {
    name: str(value)
    for name, value in next(iter(fields.values())).items()
    if name in ("store", "start weights", "compute.dtype")
    and all(each[name] == value for each in fields.values())
  }
  evaluation = config.pretrain.evaluation
  return Differences(
    fields=find_differences(
      fields,
      axes(given),
      {arm: study.without_effect(run) for arm, run in runs.items()},
      matched=config.match != "steps",
    ),
    equal={
      **shared,
      "evaluation": (
        f"at most {evaluation.rows:,} rows, {evaluation.mask_rate:.0%} masked"
      ),
      **equal,
    },
    rows=group(
      {
        arm: tuple(phase.pipeline.identity for phase in part.phases)
        for arm, part in chosen.items()
      }
    ),
    validation=tuple(map(tuple, study.equal_rows(config))),
  )


def _compare_tuning(
  given: SweepConfig, config: SweepConfig, equal: Mapping[str, str]
) -> Differences:
  """Return in what the arms of a study of fine-tuning differ."""
  fields = {
    arm: flatten_fields(
      to_mapping(study.finetune_config(config, arm, config.seed))
    )
    for arm in config.chosen
  }
  return Differences(
    fields=find_differences(fields, axes(given)),
    equal={"start weights": config.bundle, **equal},
  )


def _fields(config: SweepConfig, arm: str, part: RunSpec) -> dict[str, Any]:
  """Return everything that an arm's results depend on, by name."""
  run = flatten_fields(
    to_mapping(study.pretrain_config(config, arm, config.seed))
  )
  probe = flatten_fields(
    to_mapping(study.finetune_config(config, arm, config.seed)), "finetune."
  )
  return {
    **{name: value for name, value in run.items() if name not in _FREE},
    **probe,
    "store": part.identity["store"][:12],
    "tokenizer": part.identity["tokenizer"][:12],
    "start weights": part.identity.get("init_from") or "random, by the seed",
  }


@functools.cache
def code_version() -> str:
  """Return a hash of the code and the packages that a result depends on."""
  facts = {
    name: value
    for name, value in code_facts().items()
    if name in _PACKAGES or name.startswith(_SOURCES)
  }
  return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def judge_code(
  store: TrialStore, trials: Sequence[Trial], policy: Policy
) -> list[Finding]:
  """Judge trials of other code beside those that are still to run."""
  now = code_version()
  if all(store.result(trial) is not None for trial in trials):
    return []
  begun = {
    trial.name: found
    for trial in trials
    if (found := read_code(store.path(trial))) not in ("", now)
  }
  others = sorted({code[:12] for code in begun.values()})
  return [
    judge(
      "trials_of_other_code",
      len(begun),
      f"{', '.join(begun) or 'no trial'} began with code "
      f"{', '.join(others) or now[:12]}, and this is code {now[:12]}, so that "
      "differences may be those of the code",
      "finish the study with the code that began it, or give another --workdir",
      policy,
    )
  ]


def describe_codes(store: TrialStore, trials: Sequence[Trial]) -> list[str]:
  """Say in a sentence which code began the trials, if it was not one."""
  names: dict[str, list[str]] = {}
  for trial in trials:
    if code := read_code(store.path(trial)):
      names.setdefault(code[:12], []).append(trial.name)
  if len(names) < 2:
    return []
  shown = "; ".join(f"{code}: {listed(each)}" for code, each in names.items())
  return [
    f"Trials were begun by {len(names)} versions of the code ({shown}), so "
    "that differences may be those of the code."
  ]


def read_code(folder: pathlib.Path) -> str:
  """Return the code that began a trial, or ""."""
  path = folder / CODE
  return json.loads(path.read_bytes())["code"] if path.is_file() else ""


def note_code(folder: pathlib.Path) -> None:
  """Write which code begins a trial, unless it has begun."""
  if not read_code(folder):
    files.write_json(folder / CODE, {"code": code_version()})
