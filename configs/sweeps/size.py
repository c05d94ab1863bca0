# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
r"""How large should the model be, for a given amount of computing?

  bertjax sweep --config=size \
    --config.pretrain.data.store=DIR --workdir=DIR

Arms are tiny (2 layers of 128), mini (4 of 256), small (4 of 512) and medium (8
of 512), with the learning rate of the recipe. The best rate depends on the
size: `--grid='optimizer.learning_rate=1e-3,4e-3'` gives every size both.

Equal are the model FLOPs within 0.5 %, store, seeds and everything else: larger
arms have fewer steps, and their schedule over those. `--match=tokens` holds the
text equal instead.

Cost: 12 trials.

Anchors: BERT's table 6 (masked-LM perplexity / MNLI-m / MRPC / SST-2) by layers
and width: 3, 768: 5.84 / 77.9 / 79.8 / 88.4; 6, 768: 4.68 / 81.9 / 84.8 / 91.3;
12, 768: 3.99 / 84.4 / 86.7 / 92.9; 24, 1024: 3.23 / 86.6 / 87.8 / 93.7.
"""

import ml_collections

from bertjax.config import SIZES
from configs.sweeps import study

QUESTION = "How large should the model be, for a given amount of computing?"

_FIELDS = ("num_layers", "hidden_size", "num_heads", "intermediate_size")
ARMS = {
  name: {"model": {field: getattr(SIZES[name], field) for field in _FIELDS}}
  for name in ("tiny", "mini", "small", "medium")
}


def get_config(argument: str = "") -> ml_collections.ConfigDict:
  """Return the config of the study; see the module's docstring."""
  return study.make(
    argument,
    question=QUESTION,
    without=("size",),
    # The smallest arm sets the FLOPs, and the largest still needs 100 steps.
    base={"steps": 20_000, "optimizer.warmup_steps": 2_000},
    arms=ARMS,
    baseline="tiny",
    match="flops",
  )
