# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Studies whose trials were never run, with just what a report reads."""

import numpy as np

from bertjax.config import SweepConfig, from_mapping
from bertjax.sweep import study
from bertjax.sweep.axes import expand
from bertjax.sweep.differences import Difference, Differences
from bertjax.sweep.matching import Work
from bertjax.trials.store import TrialStore
from configs.sweeps import nsp
from launch.sweep.costs import ArmCost
from launch.sweep.findings import FINDINGS
from launch.sweep.probes import share_name
from launch.sweep.report import write_report, write_timing
from launch.sweep.stated import note_margins
from launch.sweep.trials import COST, POINTS, Outcome
from tests.testing.compared import write_pretrain

HOSTILE = '<script>alert("$x_$")</script>=1+1,a'
ARMS = tuple(nsp.ARMS)


def make_config(arms=ARMS, seeds=3, **fields):
  """The study of configs/sweeps/nsp.py with some of its arms.

  An arm that it has not is one of rows without a loss.
  """
  given = nsp.get_config().to_dict()
  known = given.pop("arms")
  rows = known["nsp_rows"]
  given["arms"] = {arm: known.get(arm, rows) for arm in arms}
  return expand(from_mapping(SweepConfig, {**given, "seeds": seeds, **fields}))


def write_study(
  folder,
  config,
  *,
  failed=(),
  curves=True,
  without=(),
  more_tokens=1,
  found=lambda arm, seed: (),
):
  """Write the files of a study; return its folder.

  Args:
    folder: gets them.
    config: of `make_config`.
    failed: names of trials that fail.
    curves: whether trials have files with their metrics.
    without: names of trials whose files are missing nevertheless.
    more_tokens: that each trial has read than the one before.
    found: makes the findings of a trial.
  """
  trials = study.make_trials(config)
  store = TrialStore(folder, {"pretrain": {"store": "a" * 64}})
  note_margins(config, store, trials)
  outcome = Outcome({}, dict.fromkeys(failed, "the disk is full"))
  rng = np.random.default_rng(0)
  for number, trial in enumerate(trials):
    if trial.name in failed:
      continue
    arm, seed = trial.settings["arm"], trial.settings["seed"]
    place = config.chosen.index(arm)
    loss = 4 - 0.05 * place + float(rng.normal(0, 0.02))
    result = {
      "probe_accuracy": 0.6 + 0.01 * place + float(rng.normal(0, 0.008)),
      "mlm_loss": loss,
      "mlm_accuracy": 0.4,
    }
    if "nsp" in arm:
      result["nsp_accuracy"] = 0.75
    earlier = config.probes.at[:-1]
    if earlier:
      result[POINTS] = {
        share_name(share): {
          "probe_accuracy": result["probe_accuracy"] * share,
          "mlm_loss": loss + 1 - share,
        }
        for share in earlier
      }
    result[COST] = {"steps": 40, "tokens": 32_000 + more_tokens * number}
    result[FINDINGS] = [each.to_json() for each in found(arm, seed)]
    outcome.results.setdefault(arm, {})[seed] = result
    if curves and trial.name not in without:
      write_pretrain(store.path(trial) / "pretrain", loss=loss)
  differences = Differences(
    fields=(
      Difference(
        "objective.next_sentence", "axis", {"nsp": config.chosen, "off": ()}
      ),
    ),
    equal={"code": "0123456789ab"},
    validation=tuple(map(tuple, study.equal_rows(config))),
  )
  costs = {
    arm: ArmCost(4_433_468, 40, Work(32_000.4, 30_000, 1_000, 1.5e12))
    for arm in config.chosen
  }
  write_timing(store, trials)
  write_report(config, store, outcome, differences, costs, "bertjax sweep")
  return folder
