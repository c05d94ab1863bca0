# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
r"""Does it cost quality to pack several examples into a row?

  bertjax sweep --config=packing:size=tiny \
    --config.pretrain.data.store=DIR --workdir=DIR

Arms have at most 1, 2, 4 or 8 examples a row. Attention stays inside an
example, and its masks are the same in any row: what differs is how full a row
is, and which examples share a batch.

Equal are the real tokens within 0.5 %, store, seeds and everything else: arms
of emptier rows have more steps, and their schedule over those. Tokens a second
say what packing saves.

Cost: 12 trials.

Anchors: none are published for rows of one format and equal tokens.
"""

import ml_collections

from configs.sweeps import study

QUESTION = "Does it cost quality to pack several examples into a row?"


def get_config(argument: str = "") -> ml_collections.ConfigDict:
  """Return the config of the study; see the module's docstring."""
  return study.make(
    argument,
    question=QUESTION,
    grid="data.max_packs=1,2,4,8",
    match="tokens",
  )
