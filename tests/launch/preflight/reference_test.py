# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The losses of others, by size and tokens seen."""

import dataclasses

import pytest

from bertjax.config import SIZES
from launch.preflight import reference


def test_every_reference_has_a_source_and_a_loss():
  for each in reference.REFERENCES:
    assert each.source
    assert each.loss is not None or each.below is not None


def test_a_perplexity_is_shown_as_nats():
  """Devlin et al. (2019), table 6: 3.99 for BERT-base, 3.23 for BERT-large."""
  for size, nats in (("base", "1.384 nats"), ("large", "1.172 nats")):
    lines = list(reference.describe(SIZES[size], tokens=1e9, loss=2.0))
    assert any(line.startswith(f"  {nats} (held-out English") for line in lines)
    assert "this run: 2.000 nats after 1 G tokens" in lines[0]


@pytest.mark.parametrize(
  ("loss", "words"),
  [(4.0, "1.50 nats below the un"), (6.0, "0.50 nats above the un")],
)
def test_a_loss_is_shown_beside_the_unigram_entropy(loss, words):
  lines = list(
    reference.describe(SIZES["base"], tokens=1e9, loss=loss, entropy=5.5)
  )
  assert words in lines[0]


@pytest.mark.parametrize(
  ("tokens", "steps"), [(1e6, "600 steps"), (9e6, "4,000 steps")]
)
def test_the_nearest_number_of_tokens_comes_first(tokens, steps):
  lines = list(reference.describe(SIZES["mini"], tokens=tokens, loss=5.0))
  assert steps in lines[1]


def test_where_no_source_is_known_none_is_shown():
  odd = dataclasses.replace(SIZES["base"], num_layers=7)
  (line,) = reference.describe(odd, tokens=None, loss=5.0)
  assert line == (
    "no published loss is known for 7 layers of width 768; there are some for "
    "tiny, mini, base, large"
  )
