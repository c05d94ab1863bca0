# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""`findings.json` in a workdir: what an expert would stop for (law 14).

It has what config, store and steps determine, and is always written as a whole,
so that a resumed run has the bytes of an uninterrupted one (law 12).
"""

import dataclasses
import json
import pathlib

from bertjax import files
from bertjax.trials.finding import FoundWrong
from bertjax.trials.results import VERSION, JsonResult

FINDINGS = "findings.json"


@dataclasses.dataclass(frozen=True)
class RunFindings(JsonResult):
  """What is wrong with a pre-training run.

  Attributes:
    step: the step whose results were judged, too; 0 before the end of the run.
    findings: what did not pass.
  """

  step: int
  findings: tuple[FoundWrong, ...]


def write_findings(folder: pathlib.Path, found: RunFindings) -> None:
  """Write the findings of a run into its workdir."""
  files.write_json(
    folder / FINDINGS,
    {"version": VERSION, **found.to_json()},
    allow_nan=False,
  )


def read_findings(folder: pathlib.Path) -> RunFindings | None:
  """Return the findings in a workdir; None where an earlier version ran.

  Raises:
    ValueError: the file cannot be read, or a newer version wrote it.
  """
  path = folder / FINDINGS
  if not path.is_file():
    return None
  try:
    return RunFindings.from_json(json.loads(path.read_text("utf-8")))
  except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
    raise ValueError(
      f"{path} cannot be read ({error}); remove it, and run the command of "
      "this run again to have it anew"
    ) from error
