# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
r"""Compare arms that differ in a few fields: equal runs, by seed.

    python -m launch.sweep --config=nsp \
      --config.pretrain.data.store=DIR --workdir=DIR
    python -m launch.sweep --config=nsp --arms=mlm_nsp,mlm --seeds=5 …
    python -m launch.sweep --config=nsp --arms=mlm \
      --grid='optimizer.learning_rate=1e-3,2e-3;model.hidden_dropout_rate=0,0.1'

Trials run one after another, each through `launch.pretrain` and then
`launch.finetune`. A rerun continues with the first trial that is not done, from
its last checkpoint, and tries again those that failed. `WORKDIR/results.json`
and `results.md` compare the arms, seed by seed.
"""

import dataclasses
import pathlib
from collections.abc import Sequence

from absl import flags

from bertjax import files
from bertjax.config import SweepConfig, from_mapping
from bertjax.sweep import study
from bertjax.sweep.axes import expand
from bertjax.sweep.comparison import SweepResult, compare, table
from bertjax.trials.store import Trial, TrialStore
from launch import cli, host_memory
from launch.commands import shipped_configs
from launch.hosts import start_up
from launch.preflight import policy as policies
from launch.preflight.policy import DEFAULT, Policy
from launch.preflight.settle import each_once
from launch.run import ownership
from launch.sweep.checks import NEWER, check
from launch.sweep.costs import cost_table, match_arms
from launch.sweep.trials import run_trials, shared_seeds


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
      of its data fails: no trial has started. Or a trial failed: the others
      are done.
  """
  cli.check_local_folder("workdir", workdir)
  study.make_trials(config)
  with each_once():
    config, identity, parts = check(expand(config), policy)
    if parts:
      config, costs = match_arms(config, parts)
      print(cost_table(config, costs), flush=True)
    trials = study.make_trials(config)
    with ownership.locked(pathlib.Path(workdir)) as owner:
      # Folders of earlier versions took no other arms.
      store = TrialStore(
        workdir, identity, NEWER, owner.check_alone, gone=("arms",)
      )
      return _run(config, trials, store, policy)


def _run(
  config: SweepConfig,
  trials: Sequence[Trial],
  store: TrialStore,
  policy: Policy,
) -> SweepResult:
  outcome = run_trials(config, trials, store, policy)
  scores = shared_seeds(outcome, config.chosen)
  baseline = study.compared_with(config)
  failures = "; ".join(f"{name}: {why}" for name, why in outcome.failed.items())
  if baseline not in scores:
    raise ValueError(
      f"no seed of {baseline} is done, and nothing can be compared: {failures}"
    )
  result = compare(scores, baseline)
  store.guard()
  files.write_json(
    store.folder / "results.json", result.to_json(), allow_nan=False
  )
  groups = [] if config.trains == "finetune" else study.equal_rows(config)
  text = table(result, groups)
  files.write_text(store.folder / "results.md", text)
  print(text, flush=True)
  if failures:
    raise ValueError(
      f"{len(outcome.failed)} of {len(trials)} trials failed, and the others "
      f"are done: {failures}; the same command tries them again"
    )
  return result


def define_flags() -> None:
  """Define the flags; not at import, because others call `run`."""
  shipped_configs.define_flag("nsp:size=tiny")
  flags.DEFINE_string(
    "workdir", None, "Folder for the trials and the results.", required=True
  )
  flags.DEFINE_string(
    "grid",
    None,
    "More axes of any fields: 'FIELD=VALUE,VALUE;FIELD=VALUE'; every arm runs "
    "with every combination. Instead of --config.grid.",
  )
  flags.DEFINE_list(
    "arms", None, "Names of the arms that run. Instead of --config.chosen."
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
  flags.mark_flag_as_required("config")
  start_up.define_flags()
  policies.define_flags()


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
  return dataclasses.replace(
    config,
    **{name: value for name, value in given.items() if value is not None},
  )


def main(_: Sequence[str]) -> None:
  """Run the sweep of the flags."""
  start_up.start({}, several=False)
  run(from_flags(), flags.FLAGS.workdir, policies.from_flags())


if __name__ == "__main__":
  host_memory.retain()
  define_flags()
  cli.run(main)
