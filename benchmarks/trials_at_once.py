# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
r"""Time a study whose trials run one after another, and two at once.

    python -m benchmarks.trials_at_once --store=DIR [--steps=200]

Both run the same four trials, of two arms and two seeds, from start to report,
on what cores there are. Prints JSON: the seconds of both and of a rerun of a
finished study, the share of time that two at once take, and the ratio of a
study's seconds to the summed seconds of its trials.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

from absl import app, flags

STORE = flags.DEFINE_string(
  "store", None, "Folder that launch.prepare wrote.", required=True
)
STEPS = flags.DEFINE_integer("steps", 200, "Steps of pre-training.")
ROWS = flags.DEFINE_integer(
  "batch_size",
  None,
  "Rows of a batch of pre-training; by default the recipe's.",
)


def measure(at_once: int, workdir: pathlib.Path) -> float:
  """Return the seconds of a study."""
  rows = ROWS.value and [f"--config.pretrain.batch_size={ROWS.value}"]
  began = time.monotonic()
  subprocess.run(
    [
      *(sys.executable, "-m", "launch.sweep", "--config=nsp:size=tiny"),
      *("--arms=mlm_nsp,nsp_rows", "--seeds=2", "--match=steps"),
      f"--config.pretrain.data.store={STORE.value}",
      f"--config.pretrain.steps={STEPS.value}",
      f"--config.pretrain.optimizer.warmup_steps={STEPS.value // 10}",
      *("--config.finetune.steps=20", "--config.finetune.seeds=1"),
      *("--config.probes.shared_rows=0", "--config.probes.pairs=0"),
      *(rows or ()),
      f"--workdir={workdir}",
      f"--trials_at_once={at_once}",
    ],
    check=True,
    stdout=subprocess.DEVNULL,
  )
  return time.monotonic() - began


def main(_: Sequence[str]) -> None:
  """Measure both."""
  load = os.getloadavg()[0]
  with tempfile.TemporaryDirectory() as name:
    folders = {n: pathlib.Path(name) / str(n) for n in (1, 2)}
    seconds = {n: measure(n, folder) for n, folder in folders.items()}
    rerun = measure(1, folders[1])
    trials = json.loads((folders[1] / "timing.json").read_text())["seconds"]
    reports = [(each / "report.json").read_bytes() for each in folders.values()]
  print(
    json.dumps(
      {
        "cores": len(os.sched_getaffinity(0)),
        "load_before": load,
        "one_after_another_s": round(seconds[1], 1),
        "two_at_once_s": round(seconds[2], 1),
        "two_to_one": round(seconds[2] / seconds[1], 3),
        "reports_are_equal": reports[0] == reports[1],
        "rerun_of_finished_s": round(rerun, 1),
        "trials_s": round(trials, 1),
        "study_to_trials": round(seconds[1] / trials, 3),
      }
    )
  )


if __name__ == "__main__":
  app.run(main)
