# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Stand-ins for the commands that a study calls."""

import json
import os
import pathlib
import signal
from types import SimpleNamespace

import pytest

from bertjax.finetune.outcome import ExperimentResult
from bertjax.finetune.results import ArmResult
from bertjax.trials.statistics import summarize
from launch import finetune, pretrain
from launch.sweep import probes, trial_process

# In the folder of a study: {name of a trial: how it fails}.
FAILS = "fails.json"
RAISES, DIES, DIES_LATE = "raises", "dies", "dies late"
# How a process fails before its first trial, by the name of its log.
KILLED = "killed"


def make_arm_result(accuracy, dev=0.5):
  scores = ExperimentResult(
    learning_rate=1e-3,
    selection=(),
    metric="accuracy",
    seeds=(0,),
    best_steps=(4,),
    dev={"accuracy": summarize([dev])},
    test={"accuracy": summarize([accuracy])},
  )
  return ArmResult("bundle", "table", ("fish", "tree"), {}, 4, scores)


class Launchers:
  """Stand in for pretrain and finetune; a probe can be told to fail."""

  def __init__(self, patch):
    self.pretrained, self.probed = [], []
    self.fail_at = -1
    patch.setattr(pretrain, "run", self.pretrain)
    patch.setattr(finetune, "run", self.finetune)
    patch.setattr(probes, "read_bundle_info", self.read)

  def pretrain(self, config, workdir, policy):
    del policy
    self.pretrained.append((config, workdir))
    loss = 3.0 + config.seed + (config.objective.next_sentence == "off")
    values = {"mlm_loss": loss, "mlm_accuracy": 0.5, "loss": loss}
    if config.objective.next_sentence == "nsp":
      values["nsp_accuracy"] = 0.75
    return pretrain.PretrainResult(
      step=config.steps,
      tokens=0,
      parameters=0,
      validation=values,
      train={},
      tokens_per_second=0.0,
      seconds=0.0,
      bundle=f"{workdir}/bundle",
      workdir=workdir,
    )

  def read(self, bundle):
    """Validate a bundle on the way: its loss is 10 above its step."""
    values = {"mlm_loss": 10.0 + int(bundle.rpartition("_")[2])}
    return SimpleNamespace(details=SimpleNamespace(evaluation=values))

  def finetune(self, config, bundle, workdir, policy):
    del config, policy
    if len(self.probed) == self.fail_at:
      raise KeyboardInterrupt
    self.probed.append((bundle, workdir))
    return make_arm_result(0.1 * len(self.probed))


class SteadyLaunchers(Launchers):
  """Stand-ins whose results follow from the trial, in whatever order they run.

  The folder of the study says which trials fail.
  """

  def pretrain(self, config, workdir, policy):
    folder = pathlib.Path(workdir)
    path = folder.parents[2] / FAILS
    fails = json.loads(path.read_text()) if path.is_file() else {}
    how = fails.get(folder.parent.name)
    if how == RAISES:
      raise RuntimeError("out of memory")
    if how == DIES:
      os._exit(9)
    return super().pretrain(config, workdir, policy)

  def finetune(self, config, bundle, workdir, policy):
    del config, policy
    self.probed.append((bundle, workdir))
    name = pathlib.Path(bundle).parents[1].name
    return make_arm_result(sum(name.encode()) % 97 / 97)


_serve_trials = trial_process.serve_trials


def serve_steadily(pipe, study, share, log):
  """Run trials in a process of their own, and train nothing."""
  with pytest.MonkeyPatch.context() as patch:
    SteadyLaunchers(patch)
    path = study.store.folder / FAILS
    fails = json.loads(path.read_text()) if path.is_file() else {}
    how = fails.get(log.stem)
    if how == DIES:
      os._exit(9)
    if how == KILLED:
      os.kill(os.getpid(), signal.SIGKILL)
    tell = trial_process._Reporter.done

    def done(reporter, name, result):
      if fails.get(name) == DIES_LATE:  # its result is written
        os._exit(9)
      tell(reporter, name, result)

    patch.setattr(trial_process._Reporter, "done", done)
    _serve_trials(pipe, study, share, log)
