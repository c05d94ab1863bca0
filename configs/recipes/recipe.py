# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A recipe of pre-training: what it sets, and what is known about it."""

import dataclasses
from collections.abc import Mapping
from typing import Any

# As good as no clipping, which the recipes of others go without.
UNCLIPPED = 1e6


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
  """What a run sets beside its family and its size, and what is known about it.

  Attributes:
    about: what it is.
    family: the family of encoders that cost and result are for.
    size: the size of it that cost and result are for.
    vocab_size: tokens of the vocabulary that its cost is reckoned with; 0 has
      the family's.
    source: where its numbers come from.
    cost: hours on named hardware, by the source, reckoned or measured.
    expected: the result, by the source or measured.
    differs: what is not as in the source; "" is nothing.
    fields: the fields that it sets; all others keep BERT's values.
  """

  about: str
  family: str = "bert"
  size: str
  vocab_size: int = 0
  source: str
  cost: str
  expected: str
  differs: str = ""
  fields: Mapping[str, Any]
