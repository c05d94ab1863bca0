# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Tables for people, in Markdown, which also reads well in a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
  """Return a table; the first column is flush left, the others right.

  Raises:
    ValueError: a row with more or fewer cells than the header.
  """
  for row in rows:
    if len(row) != len(header):
      raise ValueError(f"row {row} has not the {len(header)} cells of {header}")
  widths = [
    max(3, *(len(row[column]) for row in (header, *rows)))
    for column in range(len(header))
  ]
  first, *others = widths
  rule = ["-" * first, *("-" * (width - 1) + ":" for width in others)]
  return "\n".join(
    "| "
    + " | ".join(
      [row[0].ljust(first)]
      + [cell.rjust(width) for cell, width in zip(row[1:], others, strict=True)]
    )
    + " |"
    for row in (header, rule, *rows)
  )


def cell(summary: Mapping[str, Any] | None, sign: str = "") -> str:
  """Mean ± std of a summary as JSON has it; a dash where there is none.

  Args:
    summary: `mean`, and `std`, which is None of a single value.
    sign: "+" shows the sign of a positive mean too.
  """
  if summary is None:
    return "–"
  mean, std = summary["mean"], summary["std"]
  return f"{mean:{sign}.4f}" + ("" if std is None else f" ± {std:.4f}")
