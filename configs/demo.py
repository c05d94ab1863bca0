# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What `make pretrain` runs: BERT-tiny on the running Python's own prose.

Corpus: about 0.8 M pieces of docstrings, comments and help topics, so a small
vocabulary, read a few times over by the recipe for short runs
(configs/pretrain.py).

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
  config = pretrain_config.get_config(
    "size=tiny,objective=mlm_nsp,seq=128,recipe=short"
  )
  config.update_from_flattened_dict({"compute.unroll": 2})
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
