# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Which parameters are several layers in one array."""

from typing import Any

from bertjax.model.parameters import leaf_name


def is_stacked(path: tuple[Any, ...]) -> bool:
  """True if a parameter's first axis is the layers of the encoder's scan.

  What is said of a layer then holds for each slice and not for the array.
  """
  return "/layers/" in leaf_name(path)
