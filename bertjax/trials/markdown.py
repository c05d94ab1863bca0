# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Markdown tables, which also read well in a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
  """Return a table; align the first column left and the others right.

  Raises:
    ValueError: a row has more or fewer cells than the header.
  """
  for row in rows:
    if len(row) != len(header):
      raise ValueError(
        f"row {row} has {len(row)} cells; the header {header} has {len(header)}"
      )
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
  """Format mean ± std of a summary in JSON; a dash if there is no summary.

  Args:
    summary: has `mean`, and `std`, which is None for a single value.
    sign: "+" also shows the sign of a positive mean.
  """
  if summary is None:
    return "–"
  mean, std = summary["mean"], summary["std"]
  return f"{mean:{sign}.4f}" + ("" if std is None else f" ± {std:.4f}")
