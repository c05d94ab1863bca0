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
  nest,
  to_mapping,
)
from bertjax.finetune import checks
from bertjax.sweep import study
from bertjax.sweep.axes import axes, merge
from launch import tasks
from launch.preflight.findings import Finding
from launch.preflight.policy import Policy
from launch.preflight.run import judge_recipe
from launch.preflight.settle import settle
from launch.preflight.task import judge_task
from launch.run.assembly import RunSpec, assemble
from launch.sweep.findings import with_study_flags
from launch.sweep.frozen import make_probes, probe_store_sha256
from launch.sweep.identity import digits, evaluation, make_identity
from launch.sweep.probe_costs import Tuning, tuning_cost


class Checked(NamedTuple):
  """A study that can start.

  Attributes:
    config: config with what follows from all arms together.
    identity: what all trials share.
    parts: parts of each arm's pre-training run; none for fine-tuning.
    tuning: what it costs to fine-tune a bundle of each arm.
  """

  config: SweepConfig
  identity: dict[str, Any]
  parts: Mapping[str, RunSpec]
  tuning: Mapping[str, Tuning]


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
  base = parts.get(config.baseline) or parts[study.compared_with(config)]
  _check_vocabularies(config, parts, base)
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
  config, examples, tuning = _check_tasks(config, encoders, policy)
  make_probes(config)  # it has all text that they need
  for arm in config.chosen:
    settle(_failures(arm, parts[arm], policy), policy)
  shared = {
    **base.identity,
    "evaluation": evaluation(config),
    **digits(to_mapping(config.pretrain)),
  }
  identity = make_identity(config, shared, examples)
  identity["probes"] |= probe_store_sha256(config)
  return Checked(config, identity, parts, tuning)


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
  config, examples, tuning = _check_tasks(
    config, dict.fromkeys(config.arms, encoder), policy
  )
  _check_metrics(config)
  digests = {name: leaf["digest"] for name, leaf in info.leaves.items()}
  weights = hashlib.sha256(json.dumps(digests, sort_keys=True).encode())
  identity = make_identity(config, {}, examples)
  identity["weights"] = weights.hexdigest()
  return Checked(config, identity, {}, tuning)


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


def _check_vocabularies(
  config: SweepConfig, parts: Mapping[str, RunSpec], base: RunSpec
) -> None:
  """Refuse arms that run and whose losses are over other tokens."""
  ours = base.identity["tokenizer"]
  for arm in config.chosen:
    theirs = parts[arm].identity["tokenizer"]
    if ours != theirs:
      raise ValueError(
        f"the baseline has tokenizer {ours[:12]} and arm {arm} {theirs[:12]}: "
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
    arm: merge(config.arms[arm], nest(changes.get(arm, {})))
    for arm in config.arms
  }
  return dataclasses.replace(config, arms=arms)


def _check_tasks(
  config: SweepConfig, encoders: Mapping[str, _Encoder], policy: Policy
) -> tuple[SweepConfig, dict[str, str], dict[str, Tuning]]:
  """Check every arm's fine-tuning, and read its data.

  Returns:
    The config with the score that chooses, what trials depend on of the
    baseline's data (the hash of each split, and where heads for scores start),
    and the cost of each arm.

  Raises:
    ValueError: data that an arm cannot use, or no test split.
  """
  task = tasks.find(config.finetune.task)
  config = dataclasses.replace(
    config, finetune=checks.with_metric(config.finetune, task)
  )
  examples: dict[str, str] = {}
  tuning = dict.fromkeys(config.chosen, Tuning())
  for name in study.probe_tasks(config):
    try:
      found, more = _check_task(config, name, encoders, policy)
    except ValueError as error:
      if not name:
        raise
      raise ValueError(f"probe {name}: {error}") from error
    examples |= {
      f"{name}.{each}" if name else each: found[each] for each in found
    }
    tuning = {
      arm: Tuning(each.steps + more[arm].steps, each.flops + more[arm].flops)
      for arm, each in tuning.items()
    }
  return config, examples, tuning


def _check_task(
  config: SweepConfig,
  name: str,
  encoders: Mapping[str, _Encoder],
  policy: Policy,
) -> tuple[dict[str, str], dict[str, Tuning]]:
  """Check how every arm is fine-tuned for a task of `study.probe_tasks`."""
  read: dict[Any, TaskData] = {}
  tuning: dict[str, Tuning] = {}
  first = study.compared_with(config)
  for arm in sorted(config.chosen, key=lambda arm: arm != first):
    tuned = study.finetune_config(config, arm, config.seed, name)
    encoder = encoders[arm]
    key = (tuned.task, tuned.seq_length, tuned.pack, encoder.tokenizer_path)
    if key not in read:
      read[key] = _read_task(tuned, encoder, policy)
    else:  # the data are checked, and the rest of the config is not
      checks.check_config(
        tuned, tasks.find(tuned.task), encoder.model, encoder.model.vocab_size
      )
    _check_effect(config, tuned)
    tuning[arm] = tuning_cost(tuned, encoder.model, read[key])
  data = next(iter(read.values()))
  examples = {split: each.sha256() for split, each in data.splits.items()}
  if data.first_bias:
    # Trials on scores that lack it began at 0, and are other trials.
    examples["first_bias"] = str(list(data.first_bias))
  return examples, tuning


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
  settle([with_study_flags(each, "finetune") for each in found], policy)
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
  found = [
    with_study_flags(finding, "pretrain")
    for finding in judge_recipe(part, policy)
    if finding.level == "fail"
  ]
  return [
    dataclasses.replace(each, text=f"in arm {arm}, {each.text}")
    for each in found
  ]


def _check_metrics(config: SweepConfig) -> None:
  """Refuse arms of other scores: dev would choose one by nothing shared."""
  for arm in config.chosen:
    metric = study.finetune_config(config, arm, config.seed).metric
    if metric != config.finetune.metric:
      raise ValueError(
        f"arm {arm} has metric={metric!r} and the study "
        f"{config.finetune.metric!r}, by which dev chooses an arm; leave "
        "metric out of the arms, and give --config.finetune.metric"
      )
