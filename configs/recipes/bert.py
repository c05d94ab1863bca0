# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Recipes of BERT's encoder: the original, and other ways to train it."""

from collections.abc import Mapping
from typing import Any

from configs.recipes.recipe import UNCLIPPED, Recipe

# The vocabularies of `make pretrain` and of `benchmarks.books`.
PROSE_VOCAB, BOOKS_VOCAB = 4_096, 8_192

_PUBLISHED = Recipe(
  about="BERT's optimizer, schedule and batch, all steps at one length.",
  size="base",
  source="google-research/bert, optimization.py and run_pretraining.py.",
  cost="7.9 hours on v5e-8 at 128 tokens, reckoned.",
  expected=(
    "It was not run here. The 1.4 nats of `original` on held-out text are what "
    "to compare it with."
  ),
  differs=(
    "Several short examples share a row, random tokens are never special, and "
    "no step is at 512 tokens unless seq=512 is given."
  ),
  fields={},
)
_ORIGINAL = Recipe(
  about=(
    "BERT as Google trained it: one example a row, random tokens from the "
    "whole vocabulary, 90 % of the steps at 128 tokens and 10 % at 512."
  ),
  size="base",
  source=(
    "Devlin et al., 2018 (arXiv 1810.04805), section 3.1 and appendix A.2; "
    "google-research/bert, README.md and create_pretraining_data.py."
  ),
  cost=(
    "4 days on 4 Cloud TPUs (large: on 16) in the paper; about 2 weeks and "
    "$500 on one Cloud TPU v2 by the README; 10.5 hours on v5e-8, reckoned "
    "(large: 35.9)."
  ),
  expected=(
    "Held-out perplexity 3.99, so about 1.4 nats, MNLI 84.4 and SST-2 92.9 on "
    "dev; large 3.23, 86.6 and 93.7 (table 6). It was not run here."
  ),
  differs=(
    "[UNK] is never masked, the embedding table is padded to a multiple of 128 "
    "rows, and a document of more than 2,048 tokens draws its target length "
    "more than once."
  ),
  fields={
    "data.seq_length": 128,
    "data.max_packs": 1,
    "objective.random_tokens": "all",
    "phase2.steps": 100_000,
    "phase2.seq_length": 512,
    "phase2.max_packs": 1,
  },
)
_TWO_PHASE = Recipe(
  about="As `original`, with several short examples packed into a row.",
  size="base",
  source="Devlin et al., 2018, appendix A.2: one schedule over both phases.",
  cost="10.5 hours on v5e-8, reckoned.",
  expected=(
    "As `original`, 1.4 nats, or less, since its rows hold more text. It was "
    "not run here."
  ),
  differs="Rows are packed, and random tokens are never special.",
  fields={
    "data.seq_length": 128,
    "phase2.steps": 100_000,
    "phase2.seq_length": 512,
  },
)
_LAMB = Recipe(
  about=(
    "NVIDIA's 8,601 steps of large batches, for 8 devices or more; "
    "`hardware=`, or `optimizer.accumulation`, splits the batch until it fits."
  ),
  size="large",
  source="NVIDIA/DeepLearningExamples, PyTorch/LanguageModeling/BERT.",
  cost=(
    "1.2 hours on 256 A100-80GB by its README; 36 hours on 8 A100-80GB, "
    "reckoned from its sequences a second (4,591 and 1,657)."
  ),
  expected=(
    "Final training loss 1.2437 on 256 A100, 1.265 ± 0.023 over 5 seeds; SQuAD "
    "1.1 F1 90.68 ± 0.16 over 10 seeds. It was not run here."
  ),
  differs=(
    "Rows are packed, random tokens are never special, and the dtype is "
    "float32 unless `hardware=` or compute.dtype says bfloat16."
  ),
  fields={
    "steps": 7_038 + 1_563,
    "batch_size": 65_536,
    "data.seq_length": 128,
    "optimizer.name": "lamb",
    "optimizer.learning_rate": 6e-3,
    "optimizer.schedule": "polynomial",
    "optimizer.warmup_steps": 2_000,
    "phase2.steps": 1_563,
    "phase2.seq_length": 512,
    "phase2.batch_size": 32_768,
    "phase2.learning_rate": 4e-3,
    "phase2.warmup_steps": 200,
  },
)
_MOSAICBERT = Recipe(
  about=(
    "MosaicBERT's data, masking and optimizer with BERT's encoder: 128 tokens, "
    "30 % masked, no next sentences, no attention dropout, bfloat16."
  ),
  size="base",
  source=(
    "mosaicml/examples, examples/benchmarks/bert, README.md and "
    "yamls/main/mosaic-bert-base-uncased.yaml; Portes et al., 2023."
  ),
  cost=(
    "11.5 hours on 8 A100-80GB with Hugging Face's BERT by the README, and "
    "about a third with MosaicBERT; 9.2 hours on v5e-8, reckoned."
  ),
  expected=(
    "GLUE about 83.3 on dev with BERT's encoder, by the README on C4. "
    "MosaicBERT itself reaches 79.6 in 1.13 hours on 8 A100-80GB, for about "
    "$20 (the paper). It was not run here."
  ),
  differs=(
    "The encoder has no ALiBi, no gated linear units and no unpadding, from "
    "which MosaicBERT's speed comes. The rate decays to 0 instead of to 2 %. "
    "Biases and layer norms are not decayed; the decay of 1e-5 a step, which "
    "Composer does not multiply by the rate, is 0.02 here."
  ),
  fields={
    "steps": 70_000,
    "batch_size": 4_096,
    "data.seq_length": 128,
    "data.max_packs": 1,
    "model.attention_dropout_rate": 0.0,
    "objective.next_sentence": "off",
    "objective.input_format": "doc_sentences",
    "objective.short_rate": 0.0,
    "objective.mask_rate": 0.3,
    "optimizer.name": "adamw_corrected",
    "optimizer.learning_rate": 5e-4,
    "optimizer.schedule": "linear_joined",
    "optimizer.warmup_steps": 4_200,
    "optimizer.beta2": 0.98,
    "optimizer.weight_decay": 0.02,
    "optimizer.clip_norm": UNCLIPPED,
    "compute.dtype": "bfloat16",
  },
)
_SHORT = Recipe(
  about=(
    "For minutes or hours instead of days: Muon, positions that start as "
    "sinusoids, 40 % of the tokens masked, no dropout."
  ),
  size="tiny",
  vocab_size=PROSE_VOCAB,
  source=(
    "Found here; `python -m benchmarks.recipe` prints what each line changes."
  ),
  cost=(
    "4:46 minutes of `make pretrain` on two cores of an Intel Xeon, preparing "
    "and fine-tuning included; mini, 4,000 steps, an hour."
  ),
  expected=(
    "On the standard library's prose 4.916 nats (1.551 below the unigram "
    "entropy) and 70.8 % next-sentence accuracy; mini, 4,000 steps on books, "
    "4.030 nats (2.60 below) and 69.3 % (`python -m benchmarks.books`)."
  ),
  fields={
    "steps": 1_600,
    "batch_size": 16,
    "log_every_steps": 20,
    # A model must attend to neighbors before it can learn anything else.
    "model.position_init": "sinusoid",
    # Few epochs leave nothing to overfit.
    "model.hidden_dropout_rate": 0.0,
    "model.attention_dropout_rate": 0.0,
    "optimizer.name": "muon",
    # 4e-3 is for tiny; give 1e-3 for mini.
    "optimizer.learning_rate": 4e-3,
    "optimizer.warmup_steps": 100,
    "optimizer.beta2": 0.98,
    # More predictions a step; evaluation masks 15 % in any case.
    "objective.mask_rate": 0.4,
    "evaluation.every_steps": 500,
    "evaluation.rows": 1_600,
    "checkpoint.every_steps": 500,
  },
)
_SMOKE = Recipe(
  about="20 steps of `short`, to see that everything works. It learns little.",
  size="tiny",
  vocab_size=PROSE_VOCAB,
  source=(
    "google-research/bert, README.md, has 20 steps as well, from a trained "
    "model on a text that it learns by heart."
  ),
  cost="Under a minute on two cores of an AMD EPYC.",
  expected=(
    "On the standard library's prose the loss falls from log(vocabulary), 8.3 "
    "nats, to 6.5, which is about the unigram entropy (6.4)."
  ),
  fields={
    **_SHORT.fields,
    "steps": 20,
    "log_every_steps": 5,
    "optimizer.warmup_steps": 2,
    "evaluation.every_steps": 10,
    "evaluation.rows": 64,
    "checkpoint.every_steps": 10,
  },
)
# What an hour on two cores is, for an encoder of a few million weights.
HOUR_FIELDS = {
  **_SHORT.fields,
  "steps": 4_000,
  "optimizer.learning_rate": 1e-3,
}
RECIPES = {
  "published": _PUBLISHED,
  "original": _ORIGINAL,
  "two_phase": _TWO_PHASE,
  "lamb": _LAMB,
  "mosaicbert": _MOSAICBERT,
  "short": _SHORT,
  "smoke": _SMOKE,
}


def make_hour(
  objective: str,
  source: str,
  fields: Mapping[str, Any],
  *,
  cost: str = "About an hour on two cores of an Intel Xeon, as `short` took.",
  found: str = "It was not run here.",
) -> Recipe:
  """Return `short` in an hour with the objective of another family.

  Args:
    objective: what it is, as the end of a sentence.
    source: where it comes from.
    fields: the fields that make it.
    cost: what a run took.
    found: what a run has found.
  """
  return Recipe(
    about=f"A BERT of size mini, trained as in `short` but with {objective}",
    size="mini",
    vocab_size=BOOKS_VOCAB,
    source=f"{source}; `short`.",
    cost=cost,
    expected=(
      f"{found} With next sentences `short` has 4.030 nats on books, 2.60 "
      "below the unigram entropy, after as many steps of as many rows."
    ),
    differs=(
      "Encoder, length, batch and optimizer are those of `short`, and 40 % of "
      "the tokens are masked instead of 15 %."
    ),
    fields={**HOUR_FIELDS, **fields},
  )
