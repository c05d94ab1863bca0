# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Print the recipes of pre-training: source, cost, expected result, fields.

  bertjax recipes

The text is that of docs/recipes.md.
"""

import textwrap
from collections.abc import Sequence

from configs.recipes import RECIPES, Recipe
from launch import cli

_WIDTH = 80
_HEAD = """\
# Recipes

`--config=pretrain:size=SIZE,recipe=NAME` chooses one. Made by `bertjax recipes`
from configs/recipes.py. Hours that are reckoned are model FLOPs at 40 % of the
chips' peak in bfloat16; nothing here has run on a TPU or on a GPU.
"""


def text() -> str:
  """Return all recipes as Markdown."""
  return "\n".join((_HEAD, *map(_section, RECIPES, RECIPES.values())))


def _section(name: str, recipe: Recipe) -> str:
  facts = {
    "Source": recipe.source,
    "Cost": f"{recipe.size}: {recipe.cost}",
    "Expected": f"{recipe.size}: {recipe.expected}",
    "Differs": recipe.differs,
    "Sets": ", ".join(
      f"`{key}={value}`" for key, value in recipe.fields.items()
    )
    or "nothing",
  }
  lines = [
    textwrap.fill(
      f"- **{title}**: {words}",
      _WIDTH,
      subsequent_indent="  ",
      break_long_words=False,
      break_on_hyphens=False,
    )
    for title, words in facts.items()
    if words
  ]
  about = textwrap.fill(recipe.about, _WIDTH)
  return "\n".join((f"## {name}\n", f"{about}\n", *lines, ""))


def main(_: Sequence[str]) -> None:
  """Print the recipes."""
  print(text(), end="")


if __name__ == "__main__":
  cli.run(main)
