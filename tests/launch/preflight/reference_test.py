# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The losses of others, by size and tokens seen."""

import dataclasses

import pytest

from bertjax.config import SIZES, PretrainConfig, from_mapping
from configs import pretrain
from configs.families import FAMILIES
from launch.preflight import reference
from launch.preflight.reference import BERT, ROBERTA, SHORT, Kind


def test_every_reference_has_a_source_and_a_loss():
  for each in reference.REFERENCES:
    assert each.source
    assert each.loss is not None or each.below is not None


def test_a_perplexity_is_shown_as_nats():
  """Devlin et al. (2019), table 6: 3.99 for BERT-base, 3.23 for BERT-large."""
  for size, nats in (("base", "1.384 nats"), ("large", "1.172 nats")):
    lines = list(reference.describe(SIZES[size], BERT, tokens=1e9, loss=2.0))
    assert any(line.startswith(f"  {nats} (held-out English") for line in lines)
    assert "this run: 2.000 nats after 1 G tokens" in lines[0]


@pytest.mark.parametrize(
  ("loss", "words"),
  [(4.0, "1.50 nats below the un"), (6.0, "0.50 nats above the un")],
)
def test_a_loss_is_shown_beside_the_unigram_entropy(loss, words):
  lines = list(
    reference.describe(SIZES["base"], BERT, tokens=1e9, loss=loss, entropy=5.5)
  )
  assert words in lines[0]


@pytest.mark.parametrize(
  ("tokens", "steps"), [(1e6, "600 steps"), (9e6, "4,000 steps")]
)
def test_the_nearest_number_of_tokens_comes_first(tokens, steps):
  lines = list(reference.describe(SIZES["mini"], BERT, tokens=tokens, loss=5.0))
  assert steps in lines[1]


def test_where_no_source_is_known_none_is_shown():
  odd = dataclasses.replace(SIZES["base"], num_layers=7)
  (line,) = reference.describe(odd, BERT, tokens=None, loss=5.0)
  assert line == (
    "no published loss is known for 7 layers of width 768; there are some for "
    "tiny, mini, base, large"
  )


def test_each_kind_has_its_own_references():
  for kind, sizes in ((BERT, 11), (SHORT, 11), (ROBERTA, 6)):
    found = reference.comparable(kind)
    assert len(found) == sizes
    assert {each.kind.family for each in found} == {kind.family}
  everywhere = {*reference.comparable(BERT), *reference.comparable(ROBERTA)}
  assert everywhere == {*reference.REFERENCES}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_kind_of_a_run_names_its_family(family):
  made = pretrain.get_config(f"family={family},objective=albert,mask_rate=30")
  config = from_mapping(PretrainConfig, made.to_dict())
  kind = Kind.of(config, "byte_bpe")
  assert kind == Kind(family, "byte_bpe", "ngram", (0.8, 0.1), 0.3)
  assert not reference.comparable(kind)
  assert not list(reference.describe(config.model, kind, tokens=1e9, loss=2.0))


def test_a_roberta_is_shown_beside_others_of_its_vocabulary():
  lines = list(
    reference.describe(SIZES["base"], ROBERTA, tokens=26e9, loss=2.0)
  )
  assert "1.369 nats" in lines[1]
  assert all("roberta" in line or "flax" in line for line in lines[1:])
