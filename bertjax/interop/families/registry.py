# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The families by their names in `config.json`."""

from collections.abc import Mapping
from typing import Any

from bertjax.config import ModelConfig
from bertjax.interop.families.albert import ALBERT
from bertjax.interop.families.bert import BERT
from bertjax.interop.families.distilbert import DISTILBERT
from bertjax.interop.families.modernbert import MODERNBERT
from bertjax.interop.families.roberta import CAMEMBERT, ROBERTA, XLM_ROBERTA
from bertjax.interop.family import Family

FAMILIES: Mapping[str, Family] = {
  family.model_type: family
  for family in (BERT, ROBERTA, DISTILBERT, ALBERT, MODERNBERT)
}
# Other names of the same encoders, which are read only.
ALIASES: Mapping[str, Family] = {
  family.model_type: family for family in (XLM_ROBERTA, CAMEMBERT)
}


def family_of(config: ModelConfig) -> Family:
  """Return the family that can express a model.

  Raises:
    ValueError: none can; the message names a choice that the nearest one has
      otherwise.
  """
  differ = {
    name: len(list(family.differences(config)))
    for name, family in FAMILIES.items()
  }
  nearest = FAMILIES[min(differ, key=differ.__getitem__)]
  nearest.check(config)
  return nearest


def family_in(mapping: Mapping[str, Any]) -> Family:
  """Return the family that a `config.json` names; the oldest are of BERT.

  Raises:
    ValueError: another kind of model.
  """
  name = mapping.get("model_type") or BERT.model_type
  known = {**FAMILIES, **ALIASES}
  if name not in known:
    raise ValueError(
      f"model_type={name!r}; only {', '.join(known)} can be read"
    )
  return known[name]


def family_behind(names: list[str], besides: Family) -> Family | None:
  """Return the family whose prefix names begin with, if it is another one."""
  for family in FAMILIES.values():
    if family.prefix != besides.prefix and any(
      name.startswith(family.prefix) for name in names
    ):
      return family
  return None
