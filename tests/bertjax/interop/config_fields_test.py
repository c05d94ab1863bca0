# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The fields of config.json, each in one table, and names of activations."""

import numpy as np
import pytest

from bertjax.interop import config_fields
from bertjax.interop.config_fields import ACTIVATIONS, ACTIVATIONS_BACK
from bertjax.interop.families.registry import FAMILIES
from bertjax.interop.huggingface_config import known_fields


@pytest.mark.parametrize("name", sorted(ACTIVATIONS_BACK))
def test_activations_are_what_transformers_means(name):
  torch = pytest.importorskip("torch")
  activations = pytest.importorskip("transformers.activations")
  ours = ACTIVATIONS[ACTIVATIONS_BACK[name]]
  x = torch.linspace(-6, 6, 1001, dtype=torch.float64)
  one, other = (activations.ACT2FN[each](x) for each in (name, ours))
  np.testing.assert_allclose(one, other, atol=1e-9, rtol=0)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_a_familys_activations_are_read_as_they_are_written(family):
  for ours, theirs in family.activations.items():
    assert ACTIVATIONS_BACK[theirs] == ours


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_every_field_of_a_config_is_in_one_table(family):
  tables = (
    {family.activation},
    {family.pooling} - {""},
    set(family.sizes.values()),
    set(family.rates.values()),
    set(config_fields.FIXED),
    set(family.fixed),
    set(family.head_rates),
    config_fields.WITHOUT_EFFECT - family.more - set(family.head_rates),
    family.without_effect,
    config_fields.READ,
    family.more,
  )
  assert sum(map(len, tables)) == len(set().union(*tables))
  assert set().union(*tables) == known_fields(family)
