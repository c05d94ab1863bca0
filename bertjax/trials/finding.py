# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What an expert would stop for, as results keep it and show it (law 14)."""

import dataclasses
from collections.abc import Iterable

from bertjax.trials.results import JsonResult

# Begins a sentence on the bundle that a training began with.
_BEFORE = "Of the training before: "


@dataclasses.dataclass(frozen=True)
class FoundWrong(JsonResult):
  """A figure that is beyond its limit.

  Attributes:
    name: name of the check.
    level: "warn" or "fail".
    text: what was found, as a clause that starts in lower case.
    fix: what the user can do, as a clause.
    figure: the measured figure; a share is between 0 and 1.
    threshold: the limit that the figure is beyond.
    allowed: whether it fails, and the user let it pass.
    line: all of that as the console said it.
  """

  name: str
  level: str
  text: str
  fix: str
  figure: float
  threshold: float | None
  allowed: bool
  line: str

  @property
  def sentence(self) -> str:
    """The line with a capital letter and a full stop."""
    return f"{self.line[:1].upper()}{self.line[1:]}."


def of_origin(sentences: Iterable[str] | None) -> list[str]:
  """Return findings of a bundle as a bundle that is made from it has them."""
  return [
    each if each.startswith(_BEFORE) else f"{_BEFORE}{each}"
    for each in sentences or ()
  ]
