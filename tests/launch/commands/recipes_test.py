# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The page of recipes is the table of recipes."""

import pathlib

from configs.recipes import RECIPES
from launch.commands import recipes

PAGE = pathlib.Path(__file__).parents[3] / "docs" / "recipes.md"


def test_the_page_is_what_the_command_prints(capsys):
  recipes.main([])
  printed = capsys.readouterr().out
  assert PAGE.read_text(encoding="utf-8") == printed, (
    "make it again: bertjax recipes > docs/recipes.md"
  )


def test_every_recipe_says_source_cost_and_result():
  sections = recipes.text().split("\n## ")[1:]
  assert [part.partition("\n")[0] for part in sections] == list(RECIPES)
  for part, recipe in zip(sections, RECIPES.values(), strict=True):
    flat = " ".join(part.split())
    for title, words in (
      ("Source", recipe.source),
      ("Cost", f"{recipe.size}: {recipe.cost}"),
      ("Expected", f"{recipe.size}: {recipe.expected}"),
    ):
      assert f"- **{title}**: {' '.join(words.split())}" in flat
    for field, value in recipe.fields.items():
      assert f"`{field}={value}`" in flat
  assert max(map(len, recipes.text().splitlines())) <= 80
