# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The one table of checks and their limits.

A figure beyond `warn` is a warning, a figure beyond `fail` ends the command.
Users set a limit with --thresholds=NAME.warn=VALUE or NAME.fail=VALUE.
"""

import dataclasses
from collections.abc import Mapping
from typing import Literal

Unit = Literal["share", "count", "ratio"]


@dataclasses.dataclass(frozen=True)
class Check:
  """A figure that is judged, and its limits.

  Attributes:
    about: what the figure is, for the table of `launch.doctor --list`.
    warn: limit of a warning; None if the figure never warns.
    fail: limit of a failure; None if the figure never fails.
    worse: whether a figure above or below the limit is bad.
    unit: how the figure is written: a share as 1.2%, a count as 1,234, a ratio
      as 1.23.
  """

  about: str
  warn: float | None = None
  fail: float | None = None
  worse: Literal["above", "below"] = "above"
  unit: Unit = "share"

  def show(self, value: float) -> str:
    """Return a figure or a limit of this check as text."""
    if self.unit == "share":
      # Six digits: a limit of 1e-5 must not read as 0%.
      return f"{100 * value:.6g}%" if value < 0.01 else f"{100 * value:.4g}%"
    return f"{value:,.0f}" if self.unit == "count" else f"{value:.4g}"


CHECKS: Mapping[str, Check] = {
  # A store.
  "unknown_tokens": Check(
    "unknown tokens among the tokens of the training split",
    warn=0.01,
    fail=0.20,
  ),
  "fertility": Check("tokens a word of the training split", 2.0, unit="ratio"),
  "unused_vocabulary": Check(
    "tokens of the vocabulary that never occur in the training split", 0.25
  ),
  "maskable_tokens": Check(
    "tokens of the training split that masking may choose",
    warn=0.5,
    fail=0.01,
    worse="below",
  ),
  "duplicate_documents": Check(
    "documents that occur more than once among all documents", 0.05
  ),
  "shared_documents": Check(
    "training documents that are also validation documents", 0, unit="count"
  ),
  "no_validation": Check("stores without a validation split", 0, unit="count"),
  "validation_tokens": Check(
    "tokens of the validation split", 10_000, worse="below", unit="count"
  ),
  "validation_share": Check(
    "tokens of the validation split among all tokens", 0.2
  ),
  "single_document": Check(
    "stores with a single training document", 0, unit="count"
  ),
  "random_pairs": Check(
    "pairs with a random second text, for next-sentence prediction",
    warn=0.60,
    fail=0.95,
  ),
  "filled_rows": Check(
    "positions of training rows that are not padding", 0.8, worse="below"
  ),
}
