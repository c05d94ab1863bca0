# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Recipes of ALBERT (Lan et al., 2020, arXiv 1909.11942)."""

import dataclasses

from configs.families import FAMILIES
from configs.recipes.bert import make_hour
from configs.recipes.recipe import Recipe

_OBJECTIVE = FAMILIES["albert"].objective
_DIFFERS = (
  "Rows are packed, random tokens are never special, [UNK] is never masked, "
  "and n-grams have exactly the paper's lengths (docs/objectives.md)."
)

_VERSION_1 = Recipe(
  about=(
    "ALBERT's first version: LAMB with batches of 4,096, n-grams of up to "
    "three words, sentence order, all steps at 512. It had dropout: give "
    "--config.model.hidden_dropout_rate=0.1 and "
    "--config.model.attention_dropout_rate=0.1, but for xxlarge."
  ),
  family="albert",
  size="base",
  source=(
    "Lan et al., 2020 (arXiv 1909.11942), sections 3.1 and 4.1; "
    "google-research/albert, README.md."
  ),
  cost="66 hours on v5e-8, reckoned.",
  expected=(
    "MNLI 81.6, SST-2 90.3, SQuAD 1.1 89.3 F1 and 82.3 exact on dev (the "
    "README; large 83.5, 91.7, 90.6 and 83.9). It was not run here."
  ),
  differs=_DIFFERS,
  fields={
    "steps": 125_000,
    "batch_size": 4_096,
    "data.seq_length": 512,
    **_OBJECTIVE,
    "optimizer.name": "lamb",
    "optimizer.learning_rate": 1.76e-3,
    "optimizer.warmup_steps": 3_125,
  },
)
_VERSION_2 = dataclasses.replace(
  _VERSION_1,
  about=(
    "ALBERT's second version: longer, and without dropout. The sizes above "
    "base had 3,000,000 steps."
  ),
  source="google-research/albert, README.md of 2019-10-31.",
  cost="220 days on v5e-8, reckoned.",
  expected=(
    "MNLI 84.6, SST-2 92.9, SQuAD 1.1 90.2 F1 and 83.2 exact on dev (the "
    "README; large 86.5, 94.9, 91.8 and 85.2). It was not run here."
  ),
  differs=(
    f"{_DIFFERS} The README names the steps alone: batch, rate and warm-up are "
    "those of `albert_v1`. It had more text than that."
  ),
  fields={**_VERSION_1.fields, "steps": 10_000_000},
)
_HOUR = make_hour(
  "ALBERT's objective: n-grams of up to three words are masked, and sentence "
  "order is predicted.",
  "Lan et al., 2020 (arXiv 1909.11942), section 3.1; google-research/albert, "
  "create_pretraining_data.py",
  _OBJECTIVE,
  cost=(
    "36 minutes of processor time, an hour beside other work, on two cores of "
    "an AMD EPYC."
  ),
  found=(
    "4.499 nats on books, 2.10 below the unigram entropy, where n-grams are "
    "predicted; sentence order 61.4 %."
  ),
)
RECIPES = {
  "albert_v1": _VERSION_1,
  "albert_v2": _VERSION_2,
  "albert_hour": _HOUR,
}
