# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Print how far below the unigram entropy the trials of studies came.

    python -m benchmarks.study_losses --study=python:DIR --study=books:DIR \
      > benchmarks/study_losses.json

The kept records of a study (docs/studies) have the losses of its trials, and
not the entropy of the masked tokens that they were asked for, without which a
loss compares with no other vocabulary. This reads both from the metrics of the
trials that are done. `launch/preflight/reference.py` has what it prints, and a
test holds the two together.
"""

import json
import pathlib
from collections.abc import Sequence
from typing import Any

from absl import app, flags

from launch.compare.runs import read_run

STUDIES = flags.DEFINE_multi_string(
  "study", [], "Name of a study, a colon, and its folder."
)
LOSS, ENTROPY = "mlm_loss", "unigram_entropy"


def read_losses(folder: pathlib.Path) -> dict[str, dict[str, Any]]:
  """Return {trial: what it reached on its validation rows} of a study."""
  found = {}
  for result in sorted(folder.glob("trials/*/result.json")):
    run = read_run(result.parent / "pretrain")
    last = run.validation[-1]
    found[result.parent.name] = {
      "steps": run.step,
      "tokens": run.tokens,
      **{name: last[name] for name in (LOSS, ENTROPY)},
    }
  return found


def main(_: Sequence[str]) -> None:
  """Print the losses of all studies."""
  pairs = [each.partition(":") for each in STUDIES.value]
  losses = {name: read_losses(pathlib.Path(at)) for name, _, at in pairs}
  print(json.dumps(losses, indent=2))


if __name__ == "__main__":
  app.run(main)
