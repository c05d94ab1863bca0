# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What all trials of a study share, so that no folder mixes two studies."""

import functools
import json
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bertjax.config import SweepConfig, flatten_fields, renamed, to_mapping
from bertjax.config.fields import before_path
from bertjax.config.identity import VERSIONS
from bertjax.finetune.arm import COMPUTE_FIELDS, DIGITS
from bertjax.sweep import study
from bertjax.sweep.axes import axes
from bertjax.trials.store import IDENTITY, TrialStore

# What identities of earlier versions lack.
NEWER = (
  "base",
  "examples",
  "match",
  "pretrain.evaluation",
  "pretrain.compute.dtype",
  "pretrain.compute.gradient_dtype",
  "pretrain.init_from",
  "pretrain.objective",
  "finetune.compute",
)
# This kernel draws its own dropout of attention weights. All other kernels drop
# the same weights, so that no study has to name them.
_OWN_DRAWS = ("compute.attention", "flash")
# Where the identity has fields that arms change.
_BASE = "base."


def open_store(
  folder: str | os.PathLike[str],
  identity: Mapping[str, Any],
  guard: Callable[[], None] = lambda: None,
) -> TrialStore:
  """Open the folder of a study.

  Raises:
    ValueError: it is the folder of another study.
  """
  path = pathlib.Path(folder) / IDENTITY
  saved = json.loads(path.read_bytes()) if path.is_file() else {}
  sides = [flatten_fields(renamed.current(each)) for each in (saved, identity)]
  # Folders of earlier versions took no other arms.
  return TrialStore(
    os.fspath(folder),
    identity,
    NEWER,
    guard,
    gone=("arms",),
    before=functools.partial(before_field, sides=sides),
  )


def make_identity(
  config: SweepConfig, of_run: Mapping[str, Any], examples: Mapping[str, str]
) -> dict[str, Any]:
  """Return what all trials share; `of_run` is the identity of the baseline.

  The settings of a trial have the fields that its arm changes, and `base` has
  the values of these fields in all other arms. Seeds and arms may be added. A
  trial that is done stays done where a later version plans rows, or tells where
  words begin, in another way; a trial that is not done is refused, as any run.
  """
  free = {*axes(config), "seed", *VERSIONS}
  if free & {"data.store", "data.stores"}:
    free |= {"store", "data.stores", "phase2.stores"}
  probe = to_mapping(config.finetune)
  tuned = {
    **{name: probe[name] for name in probe if name not in COMPUTE_FIELDS},
    **digits(probe),
  }
  own = "" if config.trains == "finetune" else "finetune."
  if not own:
    del tuned["seeds"]
  tuned = {
    name: value
    for name, value in flatten_fields(tuned).items()
    if own + name not in free
  }
  own_values = {*axes(config), *_own_values(config)}
  base = {
    name if name.startswith("finetune.") else f"{config.trains}.{name}": value
    for name, value in study.base_fields(config).items()
    if name in own_values
  }
  task_is_free = any(".task." in f".{name}" for name in free)
  return {
    **({"match": config.match} if own else {"trains": config.trains}),
    # An arm has these unless it changes them.
    "base": base,
    "pretrain": {
      name: value
      for name, value in flatten_fields(of_run).items()
      if name not in free
    },
    # The result of a trial depends on the seeds and rates of its probe.
    "finetune": tuned,
    **({"probes": _probes(config)} if own else {}),
    **({} if task_is_free else {"examples": dict(examples)}),
  }


def _probes(config: SweepConfig) -> dict[str, Any]:
  """Return what is measured of every trial, without where it runs."""
  digits_ = {f"compute.{name}" for name in DIGITS}
  tasks = {
    name: {
      field: value
      for field, value in flatten_fields(own).items()
      if field.partition(".")[0] not in COMPUTE_FIELDS
      or field in digits_
      or (field, value) == _OWN_DRAWS
    }
    for name, own in config.probes.tasks.items()
  }
  return {**to_mapping(config.probes), "tasks": tasks}


def _own_values(config: SweepConfig) -> list[str]:
  """Return fields of which the baseline has another value than the base.

  It changes them, or does not read them as another arm may.
  """
  if config.trains == "finetune":
    return []
  run = study.pretrain_config(config, config.baseline, config.seed)
  ours = flatten_fields(to_mapping(run))
  theirs = study.base_fields(config)
  return [
    name for name in ours if name != "seed" and ours[name] != theirs[name]
  ]


def before_field(name: str, sides: Sequence[Mapping[str, Any]] = ()) -> Any:
  """Return what trials had that an identity does not name (law 10).

  A field that all arms shared stands in `base` once an arm that is added
  changes it: there, and not at its default, is what the others have. Only a
  field that no side has is newer than the trials.

  Args:
    name: dotted name of the field.
    sides: the identity of the folder and that of now, flat.
  """
  other = name.removeprefix(_BASE) if name.startswith(_BASE) else _BASE + name
  for side in sides:
    if other in side:
      return side[other]
  return before_path(SweepConfig, name.removeprefix(_BASE))


def evaluation(config: SweepConfig) -> dict[str, Any]:
  """Return how all trials are evaluated."""
  evaluation = to_mapping(config.pretrain.evaluation)
  del evaluation["every_steps"]
  if not evaluation["stores"]:  # as studies of earlier versions have it
    del evaluation["stores"]
  return evaluation


def digits(config: Mapping[str, Any]) -> dict[str, Any]:
  """Return the number formats of a config, and the kernel with own draws."""
  formats = {f"compute.{name}": config["compute"][name] for name in DIGITS}
  name, kernel = _OWN_DRAWS
  own = config["compute"]["attention"] == kernel
  return {**formats, **({name: kernel} if own else {})}
