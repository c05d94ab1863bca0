# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
r"""Time a study whose trials run one after another, and two at once.

    python -m benchmarks.trials_at_once --store=DIR [--steps=200]

Both run the same four trials, of two arms and two seeds, from start to report,
on what cores there are. Prints JSON: the seconds of both and of a rerun of a
finished study; the share of time that two at once take; how far apart the
losses of both are, by rounding; the ratio of a study's seconds to the summed
seconds of its trials; and the seconds until the first trial, and the second one
of its arm, whose shapes are equal, have taken a step. One that the study does
not print is left out. `missed` has the goals that are missed.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from absl import app, flags

from benchmarks import goals

# What a study prints where a trial begins, and a run after its first step.
_TRIAL = re.compile(r"trial \d+ of \d+: (\S+)$")
_LOSS = "mlm_loss"
_STEPPED = re.compile(r"step 1/\d+ .*  compiled$")


# What report.json of a study has.
_Report = Mapping[str, Any]


class Measured(NamedTuple):
  """What a study took.

  Attributes:
    seconds: from start to end.
    first_steps: see `time_first_steps`; of trials that run one after another.
  """

  seconds: float
  first_steps: dict[str, float | None]


def measure(at_once: int, workdir: pathlib.Path) -> Measured:
  """Run a study and return what it took."""
  rows = flags.FLAGS.batch_size and [
    f"--config.pretrain.batch_size={flags.FLAGS.batch_size}"
  ]
  command = [
    *(sys.executable, "-m", "launch.sweep", "--config=nsp:size=tiny"),
    *("--arms=mlm_nsp,nsp_rows", "--seeds=2", "--match=steps"),
    f"--config.pretrain.data.store={flags.FLAGS.store}",
    f"--config.pretrain.steps={flags.FLAGS.steps}",
    f"--config.pretrain.optimizer.warmup_steps={flags.FLAGS.steps // 10}",
    *("--config.finetune.steps=20", "--config.finetune.seeds=1"),
    *("--config.probes.shared_rows=0", "--config.probes.pairs=0"),
    *(rows or ()),
    f"--workdir={workdir}",
    f"--trials_at_once={at_once}",
  ]
  began = time.monotonic()
  with subprocess.Popen(
    command,
    stdout=subprocess.PIPE,
    text=True,
    env={**os.environ, "PYTHONUNBUFFERED": "1"},
  ) as process:
    assert process.stdout is not None
    first_steps = time_first_steps(process.stdout)
  if process.returncode:
    raise subprocess.CalledProcessError(process.returncode, command)
  return Measured(time.monotonic() - began, first_steps)


def time_first_steps(
  lines: Iterable[str], clock: Callable[[], float] = time.monotonic
) -> dict[str, float | None]:
  """Return {trial: seconds until it has taken a step}, as a study prints.

  In the order of the trials; None where no first step is printed.
  """
  found: dict[str, float | None] = {}
  name, began = "", 0.0
  for line in lines:
    if match := _TRIAL.match(line):
      name, began = match[1], clock()
      found[name] = None
    elif name and found[name] is None and _STEPPED.match(line):
      found[name] = clock() - began
  return found


def pick_first_steps(
  first_steps: Mapping[str, float | None],
) -> dict[str, float]:
  """Return the figures of the first trial and the second one of its arm.

  Args:
    first_steps: see `time_first_steps`.
  """
  first = next(iter(first_steps), "")
  of_arm = [name for name in first_steps if _arm(name) == _arm(first)]
  figures = ("first_trial_steps_after_s", "second_of_its_arm_steps_after_s")
  return {
    figure: round(seconds, 2)
    for figure, name in zip(figures, of_arm, strict=False)
    if (seconds := first_steps[name]) is not None
  }


def losses_differ_by(left: _Report, right: _Report) -> float:
  """Return how far apart the masked-LM losses of two studies are, at most.

  Trials at once have fewer cores each, and sums of other parts round otherwise.
  """
  return max(
    abs(ours - theirs)
    for arm, found in left["arms"].items()
    for ours, theirs in zip(
      found[_LOSS]["values"], right["arms"][arm][_LOSS]["values"], strict=True
    )
  )


def _arm(trial: str) -> str:
  return trial.rpartition("-seed")[0]


def main(_: Sequence[str]) -> None:
  """Measure both."""
  load = os.getloadavg()[0]
  with tempfile.TemporaryDirectory() as name:
    folders = {n: pathlib.Path(name) / str(n) for n in (1, 2)}
    took = {n: measure(n, folder) for n, folder in folders.items()}
    rerun = measure(1, folders[1]).seconds
    trials = json.loads((folders[1] / "timing.json").read_bytes())["seconds"]
    reports = [
      json.loads((each / "report.json").read_bytes())
      for each in folders.values()
    ]
  seconds = {n: each.seconds for n, each in took.items()}
  found = {
    "cores": len(os.sched_getaffinity(0)),
    "load_before": load,
    "one_after_another_s": round(seconds[1], 1),
    "two_at_once_s": round(seconds[2], 1),
    "two_to_one": round(seconds[2] / seconds[1], 3),
    "losses_differ_by": losses_differ_by(*reports),
    "rerun_of_finished_s": round(rerun, 1),
    "trials_s": round(trials, 1),
    "study_to_trials": round(seconds[1] / trials, 3),
    **pick_first_steps(took[1].first_steps),
  }
  print(json.dumps({**found, "missed": goals.missed_by_study(found)}))


def define_flags() -> None:
  """Define the flags; not at import, because tests import this."""
  flags.DEFINE_string(
    "store", None, "Folder that launch.prepare wrote.", required=True
  )
  flags.DEFINE_integer("steps", 200, "Steps of pre-training.")
  flags.DEFINE_integer(
    "batch_size",
    None,
    "Rows of a batch of pre-training; by default the recipe's.",
  )


if __name__ == "__main__":
  define_flags()
  app.run(main)
