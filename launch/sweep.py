# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Compare pre-training objectives: equal runs, probed by fine-tuning.

    python -m launch.sweep --config=nsp \
      --config.pretrain.data.store=DIR --workdir=DIR

Trials run one after another, each through `launch.pretrain` and then
`launch.finetune`. A rerun continues with the first trial that is not done, from
its last checkpoint. `WORKDIR/results.json` and `results.md` compare the arms,
seed by seed.
"""

import dataclasses
import functools
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from absl import flags

from bertjax import files
from bertjax.config import SweepConfig, from_mapping, to_mapping
from bertjax.config.identity import VERSIONS
from bertjax.finetune import checks
from bertjax.finetune.arm import COMPUTE_FIELDS, DIGITS
from bertjax.objectives.pretraining import SUMMARY_METRICS
from bertjax.sweep import study
from bertjax.sweep.study import SweepResult
from bertjax.trials.store import Trial, TrialStore
from launch import cli, finetune, host_memory, pretrain, tasks
from launch.commands import shipped_configs
from launch.hosts import start_up
from launch.preflight import policy as policies
from launch.preflight.findings import Finding
from launch.preflight.policy import DEFAULT, Policy
from launch.preflight.run import judge_recipe
from launch.preflight.settle import each_once, settle
from launch.preflight.task import judge_task
from launch.run import ownership
from launch.run.assembly import RunSpec, assemble

# What identities of earlier versions lack.
_NEWER = (
  "pretrain.evaluation",
  "pretrain.compute.dtype",
  "pretrain.init_from",
  "finetune.compute",
)


def run(
  config: SweepConfig, workdir: str, policy: Policy = DEFAULT
) -> SweepResult:
  """Run the trials that are not done; return the comparison.

  Args:
    config: arms, seeds, and what is equal in all of them.
    workdir: folder of the trials and the results.
    policy: limits of the checks, and which may fail.

  Raises:
    ValueError: a field of the config cannot be used, or a check of an arm or
      of the probe's data fails; no trial has started.
  """
  cli.check_local_folder("workdir", workdir)
  trials = study.make_trials(config)
  with each_once():
    config, identity = _check(config, policy)
    with ownership.locked(pathlib.Path(workdir)) as owner:
      store = TrialStore(workdir, identity, _NEWER, owner.check_alone)
      return _run_trials(config, trials, store, policy)


def _run_trials(
  config: SweepConfig,
  trials: Sequence[Trial],
  store: TrialStore,
  policy: Policy,
) -> SweepResult:
  scores: dict[str, dict[int, Mapping[str, float]]] = {}
  for number, trial in enumerate(trials, 1):
    print(f"trial {number} of {len(trials)}: {trial.name}", flush=True)
    arm, seed = trial.settings["arm"], trial.settings["seed"]
    scores.setdefault(arm, {})[seed] = store.run(
      trial, functools.partial(run_trial, config, trial, policy=policy)
    )
  result = study.compare(scores, config.baseline)
  store.guard()
  files.write_json(
    store.folder / "results.json", result.to_json(), allow_nan=False
  )
  text = study.table(result, study.equal_rows(config))
  files.write_text(store.folder / "results.md", text)
  print(text, flush=True)
  return result


def run_trial(
  config: SweepConfig,
  trial: Trial,
  folder: pathlib.Path,
  policy: Policy = DEFAULT,
) -> dict[str, float]:
  """Pre-train and probe a trial; resume it if `folder` has a part of it.

  Returns:
    The probe's score on test, which compares arms, and validation metrics,
    which each arm has on rows of its own objective.
  """
  trained = pretrain.run(
    study.pretrain_config(
      config, trial.settings["arm"], trial.settings["seed"]
    ),
    str(folder / "pretrain"),
    policy=policy,
  )
  probe = finetune.run(
    config.finetune,
    trained.bundle,
    str(folder / "finetune"),
    policy=policy,
  )
  validation = trained.validation
  metric = tasks.find(config.finetune.task).metrics[0]
  return {
    f"probe_{metric}": probe.scores.test[metric].mean,
    **{
      name: validation[name] for name in SUMMARY_METRICS if name in validation
    },
  }


def _check(
  config: SweepConfig, policy: Policy
) -> tuple[SweepConfig, dict[str, Any]]:
  """Check every arm and the probe.

  Returns:
    The config and the identity of the sweep. The config has the number of
    packed examples a row, which each arm would otherwise choose for itself.

  Raises:
    ValueError: a field of the config cannot be used, or a check fails.
  """
  source = config.pretrain.data
  if not source.store and not source.stores:
    raise ValueError(
      "--config.pretrain.data.store is not given; give a folder that "
      "launch.prepare wrote"
    )
  parts = [
    assemble(study.pretrain_config(config, arm, config.seed))
    for arm in config.arms
  ]
  packs = max(each.config.data.max_packs for each in parts)
  packs2 = max(each.config.phase2.max_packs for each in parts)
  run = config.pretrain
  run = dataclasses.replace(
    run,
    data=dataclasses.replace(run.data, max_packs=packs),
    phase2=dataclasses.replace(run.phase2, max_packs=packs2),
  )
  data, _ = tasks.load_data(
    config.finetune, parts[0].config.model, parts[0].store.tokenizer_path
  )
  if "test" not in data.splits:
    raise ValueError(
      "the arms of a study are compared on test, and the task has no labeled "
      "one; give --config.finetune.task.test or a test_rate above 0"
    )
  probe = checks.with_metric(config.finetune, tasks.find(config.finetune.task))
  length = probe.seq_length
  fertility = parts[0].stores.tokens_per_word()
  settle(judge_task(data.figures, length, fertility, policy), policy)
  for arm, part in zip(config.arms, parts, strict=True):
    settle(_failures(arm, part, policy), policy)
  shared = dict(parts[0].identity)
  shared["data.max_packs"] = packs
  if run.phase2.steps:
    shared["phase2.max_packs"] = packs2
  config = dataclasses.replace(config, pretrain=run, finetune=probe)
  return config, _identity(config, shared)


def _failures(arm: str, part: RunSpec, policy: Policy) -> list[Finding]:
  """Return what fails in an arm; its trials warn, and judge the disk."""
  return [
    dataclasses.replace(finding, text=f"in arm {arm}, {finding.text}")
    for finding in judge_recipe(part, policy)
    if finding.level == "fail"
  ]


def _identity(config: SweepConfig, of_run: Mapping[str, Any]) -> dict[str, Any]:
  """Return what all trials share; `of_run` is the identity of one of them."""
  # Seeds may be added, and arms differ in the objective. A trial that is done
  # stays done where rows are planned or words begin otherwise since; a trial
  # that is not is refused, as any run is.
  shared = {
    name: value
    for name, value in of_run.items()
    if name not in {"seed", *VERSIONS} and not name.startswith("objective.")
  }
  # The results are scores of an evaluation, and digits of a dtype.
  run, probe = config.pretrain, to_mapping(config.finetune)
  evaluation = to_mapping(run.evaluation)
  del evaluation["every_steps"]
  shared["evaluation"] = evaluation
  shared |= _digits(to_mapping(run))
  return {
    "arms": to_mapping(config)["arms"],
    "pretrain": shared,
    # The result of a trial depends on the seeds and rates of its probe.
    "finetune": {
      **{name: probe[name] for name in probe if name not in COMPUTE_FIELDS},
      **_digits(probe),
    },
  }


def _digits(config: Mapping[str, Any]) -> dict[str, Any]:
  return {f"compute.{name}": config["compute"][name] for name in DIGITS}


def define_flags() -> None:
  """Define the flags; not at import, because others call `run`."""
  shipped_configs.define_flag("nsp:size=tiny")
  flags.DEFINE_string(
    "workdir", None, "Folder for the trials and the results.", required=True
  )
  flags.mark_flag_as_required("config")
  start_up.define_flags()
  policies.define_flags()


def main(_: Sequence[str]) -> None:
  """Run the sweep of the flags."""
  values = flags.FLAGS
  start_up.start({}, several=False)
  config = from_mapping(SweepConfig, values.config.to_dict())
  run(config, values.workdir, policies.from_flags())


if __name__ == "__main__":
  host_memory.retain()
  define_flags()
  cli.run(main)
