# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Recipes of pre-training: what `recipe=` sets, and what comes of it.

Each family that has recipes has a file of its name. `bertjax recipes` prints
all of them with their FLOPs, which is also docs/recipes.md. Hours that are
reckoned are the model FLOPs of `bertjax.train.flops` at 40 % of the peak of the
named chips in bfloat16 (v5e 197 TFLOP/s).
"""

import importlib
import pkgutil
from collections.abc import Mapping

from configs.families import FAMILIES
from configs.recipes.recipe import Recipe

__all__ = ["RECIPES", "Recipe"]


def _read_files() -> Mapping[str, Recipe]:
  """Return the `RECIPES` of all families that have some, in their order."""
  files = {file.name for file in pkgutil.iter_modules(__path__)}
  found: dict[str, Recipe] = {}
  for family in FAMILIES:
    if family in files:
      found |= importlib.import_module(f"{__name__}.{family}").RECIPES
  return found


# By the value of `recipe=`.
RECIPES = _read_files()
