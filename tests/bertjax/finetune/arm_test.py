# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What makes an arm another arm."""

import types
from typing import Any

import pytest

from bertjax.batch import Vocabulary
from bertjax.checkpoints.bundle import read_pretrained
from bertjax.config import ComputeConfig, FinetuneConfig, ObjectiveConfig
from bertjax.finetune.arm import _NEWER, Arm
from bertjax.finetune.classification import TASK
from bertjax.finetune.forgetting import Reference
from bertjax.trials.store import TrialStore
from tests.testing import small


def identity_of(
  path, init="bundle", reference=None, first_bias=(), attention: Any = "auto"
):
  data: Any = types.SimpleNamespace(
    settings={}, labels=("fish", "tree"), splits={}, first_bias=first_bias
  )
  info = read_pretrained(path)
  config = FinetuneConfig(compute=ComputeConfig(attention=attention))
  return Arm(TASK, data, info, config, init, "tokenizer", reference).identity()


def test_weights_make_an_arm_and_scratch_has_none(tmp_path):
  one, other = (
    identity_of(small.make_bundle(tmp_path / str(seed), seed=seed))
    for seed in range(2)
  )
  assert one["weights"] != other["weights"]
  scratch = identity_of(tmp_path / "0", "scratch")
  assert scratch["weights"] == {}


def test_a_reference_makes_an_arm_and_none_leaves_it_as_it_was(tmp_path):
  path = small.make_bundle(tmp_path / "bundle")
  vocabulary: Any = Vocabulary
  reference = Reference(
    {"rows": 8}, ObjectiveConfig(), vocabulary, lambda _: []
  )
  without = identity_of(path)
  assert "reference" not in without
  measured = identity_of(path, reference=reference)
  assert measured == {**without, "reference": {"rows": 8}}


def test_a_first_bias_makes_an_arm_and_none_leaves_it_as_it_was(tmp_path):
  path = small.make_bundle(tmp_path / "bundle")
  before = identity_of(path)
  assert "first_bias" not in before
  with_bias = identity_of(path, first_bias=(2.5,))
  assert with_bias == {**before, "first_bias": [2.5]}
  # Trials that began at 0 are not continued by others.
  TrialStore(tmp_path / "run", before)
  with pytest.raises(
    ValueError, match=r"first_bias=None, not \[2.5\]: give ano"
  ):
    TrialStore(tmp_path / "run", with_bias, _NEWER)


def test_a_kernel_with_draws_of_its_own_makes_an_arm(tmp_path):
  path = small.make_bundle(tmp_path / "bundle")
  assert read_pretrained(path).model.attention_dropout_rate > 0
  by_rows = identity_of(path, attention="xla")
  assert by_rows == identity_of(path, attention="splash")
  by_flash = identity_of(path, attention="flash")
  flash = {**by_rows["compute"], "attention": "flash"}
  assert by_flash == {**by_rows, "compute": flash}
