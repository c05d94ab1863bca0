# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Small encoders of every family, and of choices that no family makes."""

import dataclasses
from typing import Any

from configs.families import FAMILIES
from tests.testing.examples import SMALL


def small(choices: dict[str, Any]):
  """A small encoder without dropout, with these choices."""
  dropout = {"hidden_dropout_rate": 0.0, "attention_dropout_rate": 0.0}
  return dataclasses.replace(SMALL, **{**choices, **dropout})


# Small where the families are large, and with dropout as transformers has it,
# whose ALBERT drops nothing of a feed-forward.
_CHANGES: dict[str, dict[str, Any]] = {
  "albert": {
    "num_layers": 4,
    "embedding_size": 8,
    "mlp_dropout_place": "none",
  },
  "modernbert": {"num_layers": 4, "attention_window": 6},
}
CONFIGS = {
  name: small({**family.choices, "max_positions": 64, **_CHANGES.get(name, {})})
  for name, family in FAMILIES.items()
}
CONFIGS["rms"] = small(
  {
    "norm": "rms",
    "norm_position": "pre",
    "embedding_norm": False,
    "use_bias": False,
    "feed_forward": "gated",
    "activation": "silu",
    "positions": "rotary",
  }
)
CONFIGS["groups"] = small(
  {"num_layers": 4, "layer_groups": 2, "norm_position": "pre"}
)
