# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Checks of one value, each with its own line."""

import math
from collections.abc import Collection


def one_of(known: Collection[str], name: str, value: str) -> None:
  """Raise a `ValueError` where `value` is not `known`."""
  if value not in known:
    raise ValueError(f"{name}={value!r}; give one of {', '.join(known)}")


def at_least(least: int, name: str, value: float) -> None:
  """Raise a `ValueError` where `value` is less, or no finite number."""
  if not least <= value < math.inf:
    raise ValueError(f"{name}={value}; give {least} or more")


def between(low: float, high: float, name: str, value: float) -> None:
  """Raise a `ValueError` where `value` is not strictly between."""
  if not low < value < high:
    raise ValueError(
      f"{name}={value}; give a rate between {low} and {high}, such as 0.15"
    )
