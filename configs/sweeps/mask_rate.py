# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
r"""How many tokens should be masked?

  bertjax sweep --config=mask_rate:size=tiny \
    --config.pretrain.data.store=DIR --workdir=DIR

A higher rate gives more predictions a row, and leaves less to predict them
from. Arms mask 15 % (BERT), 20 %, 30 % (MosaicBERT, ModernBERT), 40 % and 50 %.

Equal are rows, steps, seeds and everything else; FLOPs grow a little with the
rate, through the predictions, and are printed (`--match=flops` holds those).
All arms are validated with 15 % masked, on the same rows and masks, so that
their masked-LM losses can be compared.

Cost: 15 trials. No pair loss is trained: it would blur the comparison.

Anchors: BERT masks 15 % (Devlin et al., 2018, section 3.1); MosaicBERT trains
with 30 % and evaluates with 15 %, as ModernBERT does; the recipe of Geiping and
Goldstein (2022, "Cramming") masks 25 %.
"""

import ml_collections

from configs.sweeps import study

QUESTION = "How many tokens should be masked?"


def get_config(argument: str = "") -> ml_collections.ConfigDict:
  """Return the config of the study; see the module's docstring."""
  return study.make(
    argument,
    question=QUESTION,
    without=("objective", "mask_rate"),
    base={"objective.next_sentence": "off"},
    grid="objective.mask_rate=0.15,0.2,0.3,0.4,0.5",
  )
