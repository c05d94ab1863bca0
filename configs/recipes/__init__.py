# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Recipes of pre-training: what `recipe=` sets, and what comes of it.

Each family has a file. `bertjax recipes` prints all of them with their FLOPs,
which is also docs/recipes.md. Hours that are reckoned are the model FLOPs of
`bertjax.train.flops` at 40 % of the peak of the named chips in bfloat16 (v5e
197 TFLOP/s).
"""

from collections.abc import Mapping

from configs.recipes import albert, bert, modernbert, roberta
from configs.recipes.recipe import Recipe

__all__ = ["RECIPES", "Recipe"]

# By the value of `recipe=`, the most like BERT first.
RECIPES: Mapping[str, Recipe] = {
  "published": bert.PUBLISHED,
  "original": bert.ORIGINAL,
  "two_phase": bert.TWO_PHASE,
  "lamb": bert.LAMB,
  "roberta": roberta.ROBERTA,
  "roberta_fairseq": roberta.FAIRSEQ,
  "roberta_500k": roberta.LONG,
  "albert_v1": albert.VERSION_1,
  "albert_v2": albert.VERSION_2,
  "mosaicbert": bert.MOSAICBERT,
  "modernbert": modernbert.FIRST_PHASE,
  "short": bert.SHORT,
  "roberta_hour": roberta.HOUR,
  "albert_hour": albert.HOUR,
  "ettin_17m_hours": modernbert.ETTIN_17M,
  "ettin_32m_hours": modernbert.ETTIN_32M,
  "smoke": bert.SMOKE,
}
