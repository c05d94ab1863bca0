# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
r"""Which learning rate, and how many epochs, for a task?

  bertjax sweep --config=sweeps/finetune:task=stdlib \
    --bundle=DIR --workdir=DIR

Every learning rate with every number of epochs, from one bundle: nothing is
pre-trained. A cell is an arm, with as many seeds as every other one. Dev
chooses a cell, and test is reported for that cell alone.

Equal are bundle, data, batches, seeds and everything else, and the trials of
every cell; the steps of a trial are printed, and grow with the epochs.

Cost: 27 trials; those of equal epochs share one compiled program.

Anchors: BERT's appendix A.3 searches 5e-5, 3e-5 and 2e-5 with 2, 3 and 4
epochs. A small encoder wants a larger rate:
`--grid='learning_rates=1e-4,3e-4,1e-3;epochs=5,10,20'`.

The argument takes the overlays of configs/finetune.py.
"""

import ml_collections

from bertjax.config import SweepConfig
from configs import common, finetune

QUESTION = "Which learning rate, and how many epochs, for a task?"

GRID = "learning_rates=2e-5,3e-5,5e-5;epochs=2,3,4"


def get_config(argument: str = "task=stdlib") -> ml_collections.ConfigDict:
  """Return the config of the study; see the module's docstring."""
  config = common.from_dataclass(
    SweepConfig(trains="finetune", question=QUESTION, grid=GRID)
  )
  tuned = finetune.get_config(argument or "task=stdlib")
  tuned.update_from_flattened_dict({"steps": 0})  # `epochs` counts
  config.finetune = tuned
  return config
