# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Arms of pre-training, matched but for the objective, probed by fine-tuning.

    python -m launch.sweep --config=configs/sweeps/nsp.py \
      --config.pretrain.data.store=DIR --workdir=DIR

One trial after another, each through `launch.pretrain` and then
`launch.finetune`; a rerun goes on with the first that is not done, and inside
it from its last checkpoint. `WORKDIR/results.json` and `results.md` compare
the arms, seed by seed.
"""

import dataclasses
import functools
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from absl import flags
from ml_collections import config_flags

from bertjax.config import SweepConfig, from_mapping, to_mapping
from bertjax.objectives.pretraining import SUMMARY_METRICS
from bertjax.sweep import study
from bertjax.trials.store import Trial, TrialStore, write_json
from launch import cli, finetune, host_memory, pretrain
from launch.hosts import start_up
from launch.run.assembly import assemble

# What an arm is judged by; the others say how pre-training itself went, each
# arm on validation rows of its own kind.
PROBE = "probe_accuracy"


def run(config: SweepConfig, workdir: str) -> dict[str, Any]:
  """Run the trials that are not done yet; return the comparison.

  Raises:
    ValueError: a mistake in the config, before the first trial starts.
  """
  cli.check_local_folder("workdir", workdir)
  trials = study.make_trials(config)
  config, identity = _check(config)
  store = TrialStore(workdir, identity)
  scores: dict[str, dict[int, Mapping[str, float]]] = {}
  for number, trial in enumerate(trials, 1):
    print(f"trial {number} of {len(trials)}: {trial.name}", flush=True)
    arm, seed = trial.settings["arm"], trial.settings["seed"]
    scores.setdefault(arm, {})[seed] = store.run(
      trial, functools.partial(run_trial, config, trial)
    )
  comparison = study.compare(scores, config.baseline)
  write_json(store.folder / "results.json", comparison)
  text = study.table(comparison)
  (store.folder / "results.md").write_text(text)
  print(text, flush=True)
  return comparison


def run_trial(
  config: SweepConfig, trial: Trial, folder: pathlib.Path
) -> dict[str, float]:
  """Pre-train and probe one trial; what `folder` holds of it is resumed."""
  trained = pretrain.run(
    study.pretrain_config(
      config, trial.settings["arm"], trial.settings["seed"]
    ),
    str(folder / "pretrain"),
  )
  probe = finetune.run(
    config.finetune, trained["bundle"], str(folder / "finetune")
  )
  validation = trained["validation"]
  return {
    PROBE: probe["test"]["accuracy"]["mean"],
    **{
      name: validation[name] for name in SUMMARY_METRICS if name in validation
    },
  }


def _check(config: SweepConfig) -> tuple[SweepConfig, dict[str, Any]]:
  """Check every arm and the probe.

  Returns:
    The config, with as many packed examples a row in every arm: left to
    themselves, arms of other lengths choose other numbers. And the identity
    of the study.

  Raises:
    ValueError: a mistake in any of these.
  """
  data = config.pretrain.data
  if not data.store and not data.stores:
    raise ValueError(
      "--config.pretrain.data.store is not given; name a folder that "
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
  finetune.load_data(
    config.finetune, parts[0].config.model, parts[0].store.tokenizer_path
  )
  # Seeds come and go, and the objective is what the arms are about.
  shared = {
    name: value
    for name, value in parts[0].identity.items()
    if name != "seed" and not name.startswith("objective.")
  }
  shared["data.max_packs"] = packs
  if run.phase2.steps:
    shared["phase2.max_packs"] = packs2
  # A trial's result is of its probe's seeds and rates: these stay.
  probe = to_mapping(config.finetune)
  return dataclasses.replace(config, pretrain=run), {
    "arms": to_mapping(config)["arms"],
    "pretrain": shared,
    "finetune": {
      name: probe[name] for name in probe if name not in finetune.HOW
    },
  }


def define_flags() -> None:
  """Define this launcher's flags; not at import, because others call `run`."""
  config_flags.DEFINE_config_file(
    "config", None, "Config file, as configs/sweeps/nsp.py.", lock_config=True
  )
  flags.DEFINE_string("workdir", None, "Folder of the study.", required=True)
  flags.mark_flag_as_required("config")
  start_up.define_flags()


def main(_: Sequence[str]) -> None:
  """Run the study that the flags say."""
  values = flags.FLAGS
  start_up.start({}, several=False)
  run(from_mapping(SweepConfig, values.config.to_dict()), values.workdir)


if __name__ == "__main__":
  host_memory.retain()
  define_flags()
  cli.run(main)
