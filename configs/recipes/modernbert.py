# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Recipes of ModernBERT (Warner et al., 2024) and Ettin (Weller et al., 2025).

Their weight decay is not multiplied by the learning rate, but by its share of
the peak: 1e-5 at a peak of 8e-4 is 0.0125 here.
"""

import dataclasses

from configs.families import FAMILIES
from configs.recipes.bert import BOOKS_VOCAB, HOUR_FIELDS
from configs.recipes.recipe import UNCLIPPED, Recipe

_OBJECTIVE = FAMILIES["modernbert"].objective

_FIRST_PHASE = Recipe(
  about=(
    "ModernBERT's first phase: 1.7 T tokens in rows of 1,024, 30 % masked, a "
    "warm-up of 3 G tokens and a constant rate. Longer rows and the decay are "
    "runs of their own that go on from its bundle (`init_from`)."
  ),
  family="modernbert",
  size="base",
  source=(
    "AnswerDotAI/ModernBERT, yamls/modernbert/modernbert-base-pretrain.yaml; "
    "Warner et al., 2024 (arXiv 2412.13663)."
  ),
  cost="26 days on v5e-8, reckoned.",
  expected=(
    "The paper has no result of this phase alone; after all three GLUE is 88.4 "
    "on dev. It was not run here."
  ),
  differs=(
    "The batch grows once, from 2,304 to 4,608 rows after 50 G tokens, where "
    "the source's grows linearly from 768 over those. Outputs of attention "
    "have no dropout (0.1 in the source, whose attention weights have none; "
    "here, as in transformers, the two share a rate). Global layers have their "
    "final rotary base from the start. The source begins with 10,000: give "
    "--config.model.rotary_base=10000, and "
    "--config.allow_changes=model.rotary_base to the run with longer rows, "
    "which has the final base."
  ),
  fields={
    "steps": 374_900,
    "batch_size": 2_304,
    "data.seq_length": 1_024,
    **_OBJECTIVE,
    "optimizer.name": "stable_adamw",
    "optimizer.learning_rate": 8e-4,
    "optimizer.schedule": "constant",
    "optimizer.warmup_steps": 1_272,
    "optimizer.beta2": 0.98,
    "optimizer.weight_decay": 0.0125,
    "optimizer.clip_norm": UNCLIPPED,
    "phase2.steps": 353_707,
    "phase2.seq_length": 1_024,
    "phase2.batch_size": 4_608,
    "compute.dtype": "bfloat16",
  },
)
_HOURS = {
  **{
    name: value
    for name, value in HOUR_FIELDS.items()
    # There is no table of positions that could start in any way.
    if name != "model.position_init"
  },
  **_OBJECTIVE,
  "optimizer.schedule": "warmup_stable_decay",
}
_ETTIN_17M = Recipe(
  about=(
    "Ettin's smallest encoder in hours instead of 1.7 T tokens: its objective "
    "and its warm-up, stable rate and decay, with the optimizer of `short`."
  ),
  family="modernbert",
  size="17m",
  vocab_size=BOOKS_VOCAB,
  source=(
    "JHU-CLSP/ettin-encoder-vs-decoder, pretraining/configs/standard/very_tiny/"
    "encoder_very_tiny.yaml; `short`."
  ),
  cost="About 2.5 hours on two cores of an Intel Xeon, reckoned by `short`.",
  expected=(
    "It was not run here. A BERT of 4 layers of the same width has 4.030 nats "
    "on books, 2.60 below the unigram entropy, after half of the tokens "
    "(`short`)."
  ),
  differs=(
    "Rows have 128 tokens instead of 1,024, batches 16 rows instead of 4,608, "
    "and the optimizer is Muon at 1e-3 instead of StableAdamW at 3e-3. The "
    "decay is part of the run."
  ),
  fields={**_HOURS, "steps": 8_000},
)
_ETTIN_32M = dataclasses.replace(
  _ETTIN_17M,
  about=(
    "Ettin's second smallest encoder in hours instead of 1.7 T tokens; else as "
    "`ettin_17m_hours`."
  ),
  size="32m",
  source=(
    "JHU-CLSP/ettin-encoder-vs-decoder, pretraining/configs/standard/tiny/"
    "encoder_tiny.yaml; `short`."
  ),
  cost="About 4 hours on two cores of an Intel Xeon, reckoned by `short`.",
  expected=(
    "It was not run here. A BERT of 4 layers and two thirds of the width has "
    "4.030 nats on books, 2.60 below the unigram entropy, after as many tokens "
    "(`short`)."
  ),
  differs=_ETTIN_17M.differs.replace("1e-3", "7e-4"),
  fields={**_HOURS, "optimizer.learning_rate": 7e-4},
)
RECIPES = {
  "modernbert": _FIRST_PHASE,
  "ettin_17m_hours": _ETTIN_17M,
  "ettin_32m_hours": _ETTIN_32M,
}
