# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Figures of a benchmark, beside its printed lines, for `benchmarks.suite`."""

import dataclasses
import pathlib
from collections.abc import Sequence

from absl import flags

from bertjax import files

PATH = flags.DEFINE_string(
  "figures_file",
  "",
  "File to write the figures to, as JSON; empty writes none.",
)
_found: list["Figure"] = []


@dataclasses.dataclass(frozen=True)
class Figure:
  """One figure, and the same of a peer.

  Attributes:
    what: what was measured.
    ours: its value here.
    unit: unit of both values.
    peer: its value of a peer; None where there is no peer, or it did not run.
    of: name of the peer.
    goal: what `ours` should reach, such as "≤ 60 s", where the benchmark knows
      it; the goals of the suite's own rows are in its table.
  """

  what: str
  ours: float
  unit: str
  peer: float | None = None
  of: str = ""
  goal: str = ""

  @property
  def ratio(self) -> float | None:
    """Return ours / peer."""
    return self.ours / self.peer if self.peer else None


def record(*figures: Figure) -> None:
  """Add figures to the file, so that it has them if this process is ended."""
  _found.extend(figures)
  if PATH.value:
    made = [dataclasses.asdict(each) for each in _found]
    files.write_json(pathlib.Path(PATH.value), made, allow_nan=False)


def from_json(values: Sequence[dict]) -> list[Figure]:
  """Return the figures of a file's JSON."""
  return [Figure(**each) for each in values]
