# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Which runs have losses that compare."""

import pytest

from bertjax.config import PretrainConfig, from_mapping
from configs import pretrain
from configs.families import FAMILIES
from launch.preflight import reference
from launch.preflight.kinds import Kind, Reference, count


@pytest.mark.parametrize("family", FAMILIES)
def test_the_kind_of_a_run_names_its_family(family):
  made = pretrain.get_config(f"family={family},objective=albert,mask_rate=30")
  config = from_mapping(PretrainConfig, made.to_dict())
  kind = Kind.of(config, "byte_bpe")
  assert kind == Kind(family, "byte_bpe", "ngram", (0.8, 0.1), 0.3)
  assert not reference.comparable(kind)
  assert not list(
    reference.describe(config.model, kind, "mlm_sop", tokens=1e9, loss=2.0)
  )


def test_a_result_below_the_entropy_is_a_loss_where_another_entropy_is_known():
  result = Reference(2, 128, "", 1e6, 4.0, "", "", below=1.5)
  assert result.reached(6.0) == 4.5
  assert result.reached(None) is None


@pytest.mark.parametrize(
  ("tokens", "text"),
  [(999, "999"), (3.2e6, "3.2 M"), (42.6e9, "42.6 G"), (1e3, "1 k")],
)
def test_tokens_have_a_unit(tokens, text):
  assert count(tokens) == f"{text} tokens"
