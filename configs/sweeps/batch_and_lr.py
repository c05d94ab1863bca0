# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
r"""Which batch size and learning rate?

  bertjax sweep --config=batch_and_lr:size=tiny \
    --config.pretrain.data.store=DIR --workdir=DIR

Every batch size has every learning rate, because the best rate depends on the
batch.

Equal are the real tokens within 0.5 %, store, seeds and everything else: arms
of larger batches have fewer steps, and their schedule over those.

Cost: 27 trials.

Anchors: RoBERTa's table 3, with equal passes over the data: batches of 256
(1 M steps, rate 1e-4) have a perplexity of 3.99 and 84.7 on MNLI-m, and batches
of 2,000 (125 k steps, rate 7e-4) 3.68 and 85.2.
"""

import ml_collections

from configs.sweeps import study

QUESTION = "Which batch size and learning rate?"


def get_config(argument: str = "") -> ml_collections.ConfigDict:
  """Return the config of the study; see the module's docstring."""
  return study.make(
    argument,
    question=QUESTION,
    grid="batch_size=16,32,64;optimizer.learning_rate=1e-3,2e-3,4e-3",
    match="tokens",
  )
