# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
r"""Does next-sentence prediction help on this corpus?

  bertjax sweep --config=nsp:size=tiny \
    --config.pretrain.data.store=DIR --workdir=DIR

Three arms tell the effect of the rows from the effect of the loss: `mlm_nsp` is
as published; `nsp_rows` has the same rows without the loss; in `mlm`, B is
always the true continuation. Store, steps, order, mask rate, seeds and
everything else are the same. Every trial is pre-trained from scratch and probed
by fine-tuning on one task (`finetune`); arms are compared seed by seed.

Anchors (dev; MNLI-m / QNLI / MRPC / SST-2 / SQuAD F1): BERT's table 5 has
84.4 / 88.4 / 86.7 / 92.7 / 88.5 with next-sentence prediction, and 83.9 /
84.9 / 86.5 / 92.6 / 87.9 without. RoBERTa's table 2 has MNLI-m 84.0 with it
on segment pairs and 84.7 without it on full sentences.

The argument takes the overlays of configs/pretrain.py except `objective=`, on
top of `size=tiny,recipe=short`, which takes minutes a trial. The default store
is the one that `make pretrain` leaves.
"""

import ml_collections

from bertjax.config import SweepConfig
from configs import common, finetune, pretrain

ARMS = {
  "mlm_nsp": {
    "objective": {"next_sentence": "nsp", "next_sentence_weight": 1.0}
  },
  "nsp_rows": {
    "objective": {"next_sentence": "nsp", "next_sentence_weight": 0.0}
  },
  "mlm": {"objective": {"next_sentence": "off"}},
}


# `make pretrain` leaves it.
STORE = "runs/demo/store"


def get_config(argument: str = "") -> ml_collections.ConfigDict:
  """Return the config of the study; see the module's docstring."""
  overlays = {
    name: values
    for name, values in pretrain.OVERLAYS.items()
    if name != "objective"
  }
  # The published recipe takes days, and there are nine trials.
  run = pretrain.get_config("size=tiny,recipe=short")
  run = common.apply_overlays(run, argument, overlays)
  run.update_from_flattened_dict({"data.store": STORE})
  config = common.from_dataclass(
    SweepConfig(arms=ARMS, baseline="mlm_nsp", seeds=3)
  )
  config.pretrain = run
  config.finetune = finetune.get_config("task=stdlib")
  return config
