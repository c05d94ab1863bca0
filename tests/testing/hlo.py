# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Build HLO programs as text."""

from bertjax.plan.hlo import parsing


def entry(*lines: str) -> parsing.Module:
  """Parse a program that consists of these instructions."""
  text = "ENTRY %main () -> f32[] {\n  " + "\n  ".join(lines) + "\n}\n"
  return parsing.parse(text)
