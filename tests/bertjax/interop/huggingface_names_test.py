# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Names of tensors as wrappers, old versions and other families write them."""

import jax
import numpy as np
import pytest

from bertjax.interop.architectures import ENCODER, PRETRAINING
from bertjax.interop.families.bert import BERT
from bertjax.interop.families.modernbert import MODERNBERT
from bertjax.interop.families.roberta import ROBERTA
from bertjax.interop.huggingface import from_huggingface, to_huggingface
from bertjax.interop.huggingface_names import name_hint, renamed
from tests.testing.choices import CONFIGS
from tests.testing.examples import SMALL
from tests.testing.huggingface_models import make_params

PARAMS = make_params(PRETRAINING)


@pytest.mark.parametrize(
  "wrapper",
  ["module.", "_orig_mod.module.", "model.", "model._orig_mod.", "bert.bert."],
)
def test_names_inside_of_a_wrapper_are_understood(wrapper):
  for architecture in (PRETRAINING, ENCODER):
    params = make_params(architecture)
    tensors = to_huggingface(params, SMALL, architecture)
    if architecture == PRETRAINING and wrapper == "bert.bert.":
      wrapper = "bert."  # with the one of its own
    wrapped = {wrapper + name: array for name, array in tensors.items()}
    back = from_huggingface(wrapped, SMALL, architecture)
    jax.tree.map(np.testing.assert_array_equal, params, back)


@pytest.mark.parametrize(
  ("part", "wrapped"),
  [
    ("bert.", "bert.bert."),
    ("bert.", "module.bert.bert."),
    ("bert.", "bert._orig_mod."),
    ("bert.", "bert.module."),
    ("layer.1.", "layer.1._orig_mod."),
    ("layer.1.", "layer.1._checkpoint_wrapped_module."),
    ("encoder.", "encoder._fsdp_wrapped_module."),
  ],
)
def test_a_part_inside_of_a_wrapper_is_understood(part, wrapped):
  tensors = to_huggingface(PARAMS, SMALL)
  names = {
    name: name.replace(part, wrapped) if part in name else name
    for name in tensors
  }
  assert names != {name: name for name in tensors}
  back = from_huggingface(
    {names[name]: array for name, array in tensors.items()}, SMALL
  )
  jax.tree.map(np.testing.assert_array_equal, PARAMS, back)


def test_two_tensors_of_one_name_are_refused():
  tensors = dict(to_huggingface(PARAMS, SMALL))
  tensors["bert.module.pooler.dense.bias"] = np.zeros(32, np.float32)
  with pytest.raises(ValueError, match=r"are both bert.pooler.dense.bias; rem"):
    from_huggingface(tensors, SMALL)


def test_names_of_another_model_are_one_line():
  other = {
    f"teacher.{name}": a for name, a in to_huggingface(PARAMS, SMALL).items()
  }
  with pytest.raises(
    ValueError, match=r"and \d+ more; unknown: \['teacher"
  ) as told:
    from_huggingface(other, SMALL)
  assert len(str(told.value)) < 1000
  assert "; take 'teacher.' off the names" in str(told.value)
  with pytest.raises(ValueError, match=r"'more'\]$"):  # no prefix of a name
    from_huggingface(
      {**to_huggingface(PARAMS, SMALL), "more": np.ones(3)}, SMALL
    )


def test_modernberts_own_prefix_is_that_of_a_wrapper():
  config = CONFIGS["modernbert"]
  params = make_params(PRETRAINING, config)
  tensors = to_huggingface(params, config)
  whole = {f"model.{name}": array for name, array in tensors.items()}
  for given in (tensors, whole):
    back = from_huggingface(given, config)
    jax.tree.map(np.testing.assert_array_equal, params, back)
  bare = {"layers.0.mlp.Wo.weight": np.ones(1), "head.norm.weight": np.ones(1)}
  assert {*renamed(bare, MODERNBERT)} == {
    "model.layers.0.mlp.Wo.weight",
    "head.norm.weight",
  }


def test_weights_of_another_family_are_told():
  config = CONFIGS["roberta"]
  tensors = to_huggingface(make_params(PRETRAINING, config), config)
  with pytest.raises(
    ValueError, match=r"unknown: .*these are names of RoBERTa, .*=bert: give"
  ) as told:
    from_huggingface(tensors, SMALL)
  assert "\n" not in str(told.value)
  names = sorted(to_huggingface(PARAMS, SMALL))
  assert "names of BERT" in name_hint(names, [], ROBERTA)
  assert name_hint(names, [], BERT) == ""
