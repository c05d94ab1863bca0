# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The page of recipes is the table of recipes."""

import pathlib
import re

import pytest

from configs.families import FAMILIES
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
    family = "" if recipe.family == "bert" else f"{recipe.family} "
    for title, words in (
      ("Source", recipe.source),
      ("Cost", f"{family}{recipe.size}: {recipe.cost}"),
      ("Expected", f"{family}{recipe.size}: {recipe.expected}"),
    ):
      assert f"- **{title}**: {' '.join(words.split())}" in flat
    for field, value in recipe.fields.items():
      assert f"`{field}={value}`" in flat
  assert max(map(len, recipes.text().splitlines())) <= 80


def test_a_cost_is_the_formula_by_hand():
  """3 × what a forward pass of BERT-base multiplies and adds (Devlin, A.2)."""
  layer = 24 * 128 * 768**2 + 4 * 128**2 * 768
  head = 19 * (2 * 768**2 + 2 * 768 * 30_592) + 2 * 768**2
  cost = recipes.cost_of("published")
  assert cost.flops == pytest.approx(1e6 * 256 * 3 * (12 * layer + head))
  assert cost.tokens == 1_000_000 * 256 * 128
  # The second phase has rows of 512, and 77 of their tokens are masked.
  layer = 24 * 512 * 768**2 + 4 * 512**2 * 768
  head = 77 * (2 * 768**2 + 2 * 768 * 30_592) + 2 * 768**2
  second = 1e5 * 256 * 3 * (12 * layer + head)
  assert recipes.cost_of("two_phase").flops == pytest.approx(
    0.9 * cost.flops + second
  )


def test_layers_with_windows_cost_the_pairs_inside_of_them():
  """Of 22 layers 8 attend to all of 1,024, the others to 64 on either side."""
  length, width, rows = 1_024, 768, 374_900 - 353_707
  rows = rows * 2_304 + 353_707 * 4_608
  near = sum(
    min(place + 65, length) - max(place - 64, 0) for place in range(length)
  )
  layers = 22 * length * (8 * width**2 + 6 * width * 1_152)
  pairs = 4 * width * (8 * length**2 + 14 * near)
  head = 307 * (2 * width**2 + 2 * width * 50_432)
  expected = rows * 3 * (layers + pairs + head)
  assert recipes.cost_of("modernbert").flops == pytest.approx(expected)


@pytest.mark.parametrize("name", RECIPES)
def test_hours_that_are_reckoned_are_those_of_the_formula(name):
  cost, recipe = recipes.cost_of(name), RECIPES[name]
  assert cost.vocab_size == (
    recipe.vocab_size or FAMILIES[recipe.family].vocab_size
  )
  pattern = r"([\d.]+) (hours|days) on v5e-8(?: at \d+ tokens)?, reckoned"
  for number, unit in re.findall(pattern, recipe.cost):
    digits = len(number.partition(".")[2])
    assert float(number) == round(
      cost.hours / (24 if unit == "days" else 1), digits
    )


def test_hours_on_two_cores_are_those_of_short():
  """An hour of two cores is `short` with 4,000 steps of mini on books."""
  hour = recipes.cost_of("roberta_hour").flops
  found = 0
  for name, recipe in RECIPES.items():
    for number in re.findall(r"About ([\d.]+) hours on two cores", recipe.cost):
      assert recipes.cost_of(name).flops / hour == pytest.approx(
        float(number), rel=0.2
      )
      found += 1
  assert found == 2
