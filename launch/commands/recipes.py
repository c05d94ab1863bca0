# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Print the recipes of pre-training: source, cost, expected result, fields.

  bertjax recipes

The text is that of docs/recipes.md.
"""

import dataclasses
import textwrap
from collections.abc import Sequence

from bertjax.config import PretrainConfig, checks, from_mapping
from bertjax.config.checks import kernels
from bertjax.config.phases import split_phases
from bertjax.train import flops
from bertjax.trials.markdown import markdown
from configs import pretrain
from configs.families import FAMILIES
from configs.recipes import RECIPES, Recipe
from launch import cli

_WIDTH = 80
# 8 chips of v5e at 40 % of their peak in bfloat16, FLOPs an hour.
_V5E_8 = 8 * 197e12 * 0.4 * 3_600
_HEAD = """\
# Recipes

`--config=pretrain:family=FAMILY,size=SIZE,recipe=NAME` chooses one; without
`family=` it is BERT's encoder. Made by `bertjax recipes` from configs/recipes.
Hours that are reckoned are model FLOPs at 40 % of the chips' peak in bfloat16;
nothing here has run on a TPU or on a GPU.

Tokens are positions of full rows, of one example each, and FLOPs are those of
the model (`bertjax.train.flops`: products alone, backward twice forward) with a
vocabulary of so many tokens. Where the kernel of a TPU has windows, only pairs
inside of them count. Hours are those on v5e-8, reckoned.
"""


@dataclasses.dataclass(frozen=True)
class Cost:
  """What a recipe computes.

  Attributes:
    vocab_size: tokens of the vocabulary.
    tokens: positions of all rows of all steps.
    flops: model FLOPs of all steps.
  """

  vocab_size: int
  tokens: int
  flops: float

  @property
  def hours(self) -> float:
    """Hours on v5e-8, reckoned."""
    return self.flops / _V5E_8


def config_of(name: str) -> PretrainConfig:
  """Return the run that the cost of a recipe is of, without a vocabulary."""
  recipe = RECIPES[name]
  made = pretrain.get_config(
    f"family={recipe.family},size={recipe.size},recipe={name}"
  )
  return from_mapping(PretrainConfig, made.to_dict())


def cost_of(name: str) -> Cost:
  """Return what a recipe computes on TPUs in full rows of one example each."""
  recipe = RECIPES[name]
  vocab_size = recipe.vocab_size or FAMILIES[recipe.family].vocab_size
  config = config_of(name)
  model = dataclasses.replace(
    config.model, vocab_size=checks.padded_vocab_size(vocab_size)
  )
  tokens, total = 0, 0.0
  for phase in split_phases(config):
    rows, length = phase.config.batch_size, phase.config.data.seq_length
    targets = rows * max(1, round(config.objective.mask_rate * length))
    steps = phase.stop - phase.start
    tokens += steps * rows * length
    kernel, _ = kernels.choose_attention(
      phase.config.compute, model, "tpu", length
    )
    reach = flops.kernel_reach(
      model, dataclasses.replace(phase.config.compute, attention=kernel)
    )
    counts = flops.full_counts(rows, length, reach=reach)
    total += steps * flops.train_flops(model, counts, targets)
  return Cost(vocab_size, tokens, total)


def text() -> str:
  """Return all recipes as Markdown."""
  return "\n".join((_HEAD, _costs(), *map(_section, RECIPES, RECIPES.values())))


def _costs() -> str:
  rows = []
  for name, recipe in RECIPES.items():
    cost = cost_of(name)
    hours = f"{cost.hours:,.1f}" if cost.hours >= 1 else "under 1"
    rows.append(
      [
        f"`{name}`",
        f"{recipe.family} {recipe.size}",
        f"{cost.vocab_size:,}",
        _short(cost.tokens),
        _short(cost.flops),
        hours,
      ]
    )
  titles = ["recipe", "encoder", "vocab", "tokens", "FLOPs", "hours"]
  return f"{markdown(titles, rows)}\n"


def _short(number: float) -> str:
  return f"{number:.2e}".replace("e+", "e")


def _section(name: str, recipe: Recipe) -> str:
  of = recipe.size
  if recipe.family != "bert":
    of = f"{recipe.family} {recipe.size}"
  facts = {
    "Source": recipe.source,
    "Cost": f"{of}: {recipe.cost}",
    "Expected": f"{of}: {recipe.expected}",
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
  about = textwrap.fill(recipe.about, _WIDTH, break_on_hyphens=False)
  return "\n".join((f"## {name}\n", f"{about}\n", *lines, ""))


def main(_: Sequence[str]) -> None:
  """Print the recipes."""
  print(text(), end="")


if __name__ == "__main__":
  cli.run(main)
