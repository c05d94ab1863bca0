# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Print loss and unigram entropy of the trials of studies, as JSON.

    python -m benchmarks.study_losses --study=python:DIR --study=books:DIR \
      > benchmarks/study_losses.json

A loss compares with that of another vocabulary only beside the unigram entropy
of the same masked tokens, which the kept records of a study (docs/studies) do
not have. This reads both from the metrics of the trials that are done.
`launch/preflight/reference.py` has means and spreads of what it prints, and a
test compares them.
"""

import json
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

from absl import app, flags

from launch.compare.runs import read_run

STUDIES = flags.DEFINE_multi_string(
  "study", [], "NAME:DIR of a study; may be repeated."
)
LOSS, ENTROPY = "mlm_loss", "unigram_entropy"


def read_losses(folder: pathlib.Path) -> dict[str, dict[str, Any]]:
  """Return {trial: its steps, tokens, and last validation} of a study."""
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
  for (name, _, at), found in zip(pairs, losses.values(), strict=True):
    if not found:
      sys.exit(
        f"error: --study={name}:{at} has no finished trial; give NAME:DIR"
      )
  print(json.dumps(losses, indent=2))


if __name__ == "__main__":
  app.run(main)
