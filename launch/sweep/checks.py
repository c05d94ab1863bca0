# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Check every arm of a study, and settle what all of them share."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from bertjax.batch import TaskData
from bertjax.checkpoints import bundle as bundles
from bertjax.config import (
  FinetuneConfig,
  ModelConfig,
  SweepConfig,
  flatten_fields,
  to_mapping,
)
from bertjax.config.fields import before_path
from bertjax.config.identity import VERSIONS
from bertjax.finetune import checks
from bertjax.finetune.arm import COMPUTE_FIELDS, DIGITS
from bertjax.sweep import study
from bertjax.sweep.axes import axes, flat_to_nested, merge
from launch import tasks
from launch.preflight.findings import Finding
from launch.preflight.policy import Policy
from launch.preflight.run import judge_recipe
from launch.preflight.settle import settle
from launch.preflight.task import judge_task
from launch.run.assembly import RunSpec, assemble

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


class Checked(NamedTuple):
  """A study that can start.

  Attributes:
    config: config with what follows from all arms together.
    identity: what all trials share.
    parts: parts of each arm's pre-training run; none for fine-tuning.
    tuning_steps: steps of one fine-tuning run of each arm.
  """

  config: SweepConfig
  identity: dict[str, Any]
  parts: Mapping[str, RunSpec]
  tuning_steps: Mapping[str, int]


def check(config: SweepConfig, policy: Policy) -> Checked:
  """Check every arm and its fine-tuning.

  Args:
    config: an expanded config.
    policy: limits of the checks, and which may fail.

  Raises:
    ValueError: a field of the config cannot be used, trials cannot be compared,
      or a check fails.
  """
  if config.trains == "finetune":
    return _check_finetuning(config, policy)
  source = config.pretrain.data
  if not source.store and not source.stores:
    raise ValueError(
      "--config.pretrain.data.store is not given; give a folder that "
      "launch.prepare wrote"
    )
  parts = _assemble(config)
  _check_vocabularies(parts)
  config = _share_packs(config, parts)
  parts = _assemble(config)
  base = parts.get(config.baseline) or parts[study.compared_with(config)]
  encoders = {
    arm: _Encoder(
      part.config.model,
      part.store.tokenizer_path,
      part.stores.tokens_per_word(),
    )
    for arm, part in parts.items()
  }
  config, examples, steps = _check_tasks(config, encoders, policy)
  for arm in config.chosen:
    settle(_failures(arm, parts[arm], policy), policy)
  shared = {
    **base.identity,
    "evaluation": _evaluation(config),
    **_digits(to_mapping(config.pretrain)),
  }
  return Checked(config, _identity(config, shared, examples), parts, steps)


def _check_finetuning(config: SweepConfig, policy: Policy) -> Checked:
  if not config.bundle:
    raise ValueError(
      "--bundle is not given; give the folder of a pre-trained bundle, which "
      "every trial is fine-tuned from"
    )
  info = bundles.read_pretrained(config.bundle)
  encoder = _Encoder(
    info.model, info.tokenizer_path, info.details.tokens_per_word
  )
  config, examples, steps = _check_tasks(
    config, dict.fromkeys(config.arms, encoder), policy
  )
  digests = {name: leaf["digest"] for name, leaf in info.leaves.items()}
  weights = hashlib.sha256(json.dumps(digests, sort_keys=True).encode())
  identity = _identity(config, {}, examples)
  identity["weights"] = weights.hexdigest()
  return Checked(config, identity, {}, steps)


class _Encoder(NamedTuple):
  """What the data of a task are read for."""

  model: ModelConfig
  tokenizer_path: Any
  tokens_per_word: float | None


def _assemble(config: SweepConfig) -> dict[str, RunSpec]:
  """Assemble every arm, but for those that do not run and cannot be made.

  What all arms share then does not depend on which of them run.
  """
  found = {}
  for arm in config.arms:
    try:
      found[arm] = assemble(study.pretrain_config(config, arm, config.seed))
    except ValueError as error:
      if arm in config.chosen:
        raise ValueError(f"in arm {arm}, {error}") from error
  return found


def _check_vocabularies(parts: Mapping[str, RunSpec]) -> None:
  """Refuse arms whose losses are over other tokens."""
  first, *others = parts
  for arm in others:
    ours, theirs = (parts[each].identity["tokenizer"] for each in (first, arm))
    if ours != theirs:
      raise ValueError(
        f"arm {first} has tokenizer {ours[:12]} and arm {arm} {theirs[:12]}: "
        "losses over other vocabularies cannot be compared; prepare both "
        "stores with one --tokenizer"
      )


def _share_packs(
  config: SweepConfig, parts: Mapping[str, RunSpec]
) -> SweepConfig:
  """Give arms of equal length the same packed examples a row.

  Each arm would choose for itself. A number that the config gives stays.
  """
  for name in ("data", "phase2"):
    given = {
      arm: vars(study.pretrain_config(config, arm, config.seed))[name]
      for arm in parts
    }
    found = {arm: vars(part.config)[name] for arm, part in parts.items()}
    open_ = [arm for arm in found if not given[arm].max_packs]
    most: dict[int, int] = {}
    for arm in open_:
      length = found[arm].seq_length
      most[length] = max(most.get(length, 0), found[arm].max_packs)
    if len(most) == 1 and len(open_) == len(found):
      group = dataclasses.replace(
        vars(config.pretrain)[name], max_packs=most.popitem()[1]
      )
      run = dataclasses.replace(config.pretrain, **{name: group})
      config = dataclasses.replace(config, pretrain=run)
    else:
      config = change(
        config,
        {
          arm: {f"{name}.max_packs": most[found[arm].seq_length]}
          for arm in open_
        },
      )
  return config


def change(
  config: SweepConfig, changes: Mapping[str, Mapping[str, Any]]
) -> SweepConfig:
  """Return the config with more changes of some arms, by dotted names."""
  arms = {
    arm: merge(config.arms[arm], flat_to_nested(changes.get(arm, {})))
    for arm in config.arms
  }
  return dataclasses.replace(config, arms=arms)


def _check_tasks(
  config: SweepConfig, encoders: Mapping[str, _Encoder], policy: Policy
) -> tuple[SweepConfig, dict[str, str], dict[str, int]]:
  """Check every arm's fine-tuning, and read its data.

  Returns:
    The config with the score that chooses, the hash of each split of the
    baseline's data, and the steps of each arm.

  Raises:
    ValueError: data that an arm cannot use, or no test split.
  """
  task = tasks.find(config.finetune.task)
  config = dataclasses.replace(
    config, finetune=checks.with_metric(config.finetune, task)
  )
  read: dict[Any, TaskData] = {}
  steps: dict[str, int] = {}
  first = study.compared_with(config)
  for arm in sorted(config.chosen, key=lambda arm: arm != first):
    tuned = study.finetune_config(config, arm, config.seed)
    encoder = encoders[arm]
    key = (tuned.task, tuned.seq_length, tuned.pack, encoder.tokenizer_path)
    if key not in read:
      read[key] = _read_task(tuned, encoder, policy)
    else:  # the data are checked, and the rest of the config is not
      checks.check_config(
        tuned, tasks.find(tuned.task), encoder.model, encoder.model.vocab_size
      )
    _check_effect(config, tuned)
    steps[arm] = checks.num_steps(tuned, read[key].splits["train"].num_drawn)
  splits = next(iter(read.values())).splits
  return (
    config,
    {name: split.sha256() for name, split in splits.items()},
    steps,
  )


def _read_task(
  tuned: FinetuneConfig, encoder: _Encoder, policy: Policy
) -> TaskData:
  data, _ = tasks.load_data(tuned, encoder.model, encoder.tokenizer_path)
  if "test" not in data.splits:
    raise ValueError(
      "the arms of a study are compared on test, and the task has no labeled "
      "one; give --config.finetune.task.test or a test_rate above 0"
    )
  found = judge_task(
    data.figures, tuned.seq_length, encoder.tokens_per_word, policy
  )
  settle(found, policy)
  return data


def _check_effect(config: SweepConfig, tuned: FinetuneConfig) -> None:
  own = "" if config.trains == "finetune" else "finetune."
  if tuned.steps and f"{own}epochs" in axes(config):
    raise ValueError(
      f"{own}epochs is an axis without effect, since steps={tuned.steps} "
      "replaces epochs; give --config.finetune.steps=0"
    )


def _failures(arm: str, part: RunSpec, policy: Policy) -> Sequence[Finding]:
  """Return what fails in an arm; its trials warn, and judge the disk."""
  return [
    dataclasses.replace(finding, text=f"in arm {arm}, {finding.text}")
    for finding in judge_recipe(part, policy)
    if finding.level == "fail"
  ]


def _identity(
  config: SweepConfig, of_run: Mapping[str, Any], examples: Mapping[str, str]
) -> dict[str, Any]:
  """Return what all trials share; `of_run` is the identity of the baseline.

  The settings of a trial have what its arm changes, and `base` has the value
  that this field has in other arms. Seeds and arms may be
  added. A trial that is done stays done where rows are planned or words begin
  otherwise since; a trial that is not is refused, as any run is.
  """
  free = {*axes(config), "seed", *VERSIONS}
  if free & {"data.store", "data.stores"}:
    free |= {"store", "data.stores", "phase2.stores"}
  probe = to_mapping(config.finetune)
  tuned = {
    **{name: probe[name] for name in probe if name not in COMPUTE_FIELDS},
    **_digits(probe),
  }
  own = "" if config.trains == "finetune" else "finetune."
  if not own:
    del tuned["seeds"]
  tuned = {
    name: value
    for name, value in flatten_fields(tuned).items()
    if own + name not in free
  }
  base = {
    name if name.startswith("finetune.") else f"{config.trains}.{name}": value
    for name, value in study.base_fields(config).items()
    if name in {*axes(config), *_own_values(config)}
  }
  task_is_free = any(f".{name}".count(".task.") for name in free)
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
    **({} if task_is_free else {"examples": dict(examples)}),
  }


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


def before_field(name: str) -> Any:
  """Return what the trials of a study had before a field existed (law 10)."""
  return before_path(SweepConfig, name.removeprefix("base."))


def _evaluation(config: SweepConfig) -> dict[str, Any]:
  evaluation = to_mapping(config.pretrain.evaluation)
  del evaluation["every_steps"]
  if not evaluation["stores"]:  # as studies of earlier versions have it
    del evaluation["stores"]
  return evaluation


def _digits(config: Mapping[str, Any]) -> dict[str, Any]:
  return {f"compute.{name}": config["compute"][name] for name in DIGITS}
