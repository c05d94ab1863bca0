# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
r"""Does next-sentence prediction help on this corpus?

  python -m launch.sweep --config=configs/sweeps/nsp.py:size=tiny \
    --config.pretrain.data.store=DIR --workdir=DIR

Three arms, so that input and loss can be told apart: `mlm_nsp` as published;
`nsp_rows`, the same rows without the loss; `mlm`, where B is always the true
continuation. Store, steps, order, masks' rate, seeds and everything else are
the same. Every trial is pre-trained from scratch and probed by fine-tuning on
one task (`finetune`), and the arms are subtracted seed by seed.

Anchors (dev; MNLI-m / QNLI / MRPC / SST-2 / SQuAD F1): BERT's table 5 has
84.4 / 88.4 / 86.7 / 92.7 / 88.5 with next-sentence prediction, and 83.9 /
84.9 / 86.5 / 92.6 / 87.9 without. RoBERTa's table 2 has MNLI-m 84.0 with it
on segment pairs and 84.7 without it on full sentences.

The argument's overlays are those of configs/pretrain.py but `objective=`, on
`size=tiny,recipe=short`, a matter of minutes a trial. The store is that of
`make pretrain` where none is given.
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


# What make pretrain leaves.
STORE = "runs/demo/store"


def get_config(argument: str = "") -> ml_collections.ConfigDict:
  """Return the config of the study; see the module's docstring."""
  overlays = {
    name: values
    for name, values in pretrain.OVERLAYS.items()
    if name != "objective"
  }
  # The published recipe is a matter of days, and there are nine trials.
  run = pretrain.get_config("size=tiny,recipe=short")
  run = common.apply_overlays(run, argument, overlays)
  run.update_from_flattened_dict({"data.store": STORE})
  config = common.from_dataclass(
    SweepConfig(arms=ARMS, baseline="mlm_nsp", seeds=3)
  )
  config.pretrain = run
  config.finetune = finetune.get_config("task=stdlib")
  return config
