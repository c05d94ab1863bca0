# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What `make pretrain` runs: BERT-tiny on the running Python's own prose.

Corpus: about 0.8 M pieces of docstrings, comments and help topics, so a small
vocabulary, read a few times over. Departures from the published recipe, each
because a run of minutes is not one of days:

- Muon instead of AdamW, which reaches in 800 steps what AdamW does not in
  2,000;
- positions start as sinusoids: attention to neighbours, which comes before
  anything else can be learnt, is then near at hand;
- two pieces of five are masked, for more signal a step. Evaluation keeps to
  15 %, and so do the figures that it prints;
- no dropout, since so few epochs leave nothing to overfit.

The fine-tuning probe averages the last layer instead of reading [CLS], which
only next-sentence prediction has trained. Both arms are given the same: the
learning rates to choose from on dev, the steps, the batches.
"""

import ml_collections

from configs import finetune as finetune_config
from configs import pretrain as pretrain_config

VOCAB_SIZE = 4096


def pretrain() -> ml_collections.ConfigDict:
  """Return the pre-training run, but for the store's folder."""
  config = pretrain_config.get_config("size=tiny,objective=mlm_nsp,seq=128")
  config.update_from_flattened_dict(
    {
      "steps": 2_000,
      "batch_size": 16,
      "log_every_steps": 20,
      "model.position_init": "sinusoid",
      "model.hidden_dropout_rate": 0.0,
      "model.attention_dropout_rate": 0.0,
      "optimizer.name": "muon",
      "optimizer.learning_rate": 4e-3,
      "optimizer.warmup_steps": 100,
      "optimizer.beta2": 0.98,
      "objective.mask_rate": 0.4,
      "compute.unroll": 2,
      "evaluation.every_steps": 500,
      "checkpoint.every_steps": 500,
    }
  )
  return config


def finetune() -> ml_collections.ConfigDict:
  """Return the probe: 20 labels a class, 5 seeds, dev chooses the rate."""
  config = finetune_config.get_config("task=stdlib")
  config.update_from_flattened_dict(
    {
      "pooling": "mean",
      "steps": 100,
      "seeds": 5,
      "evaluations": 2,
      "learning_rates": (1e-3, 3e-3),
    }
  )
  return config


def finetune_all_labels() -> ml_collections.ConfigDict:
  """Return the same with every label that there is, and fewer seeds."""
  config = finetune()
  config.update_from_flattened_dict(
    {"task.labels_per_class": 0, "steps": 200, "seeds": 2}
  )
  return config
