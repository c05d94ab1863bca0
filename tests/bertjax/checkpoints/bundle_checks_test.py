# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Weights of a bundle fit its model and are numbers."""

import contextlib
import dataclasses
import json
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bertjax
from bertjax import files
from bertjax.checkpoints import bundle, bundle_checks, digest
from bertjax.interop.architectures import CLASSIFICATION, shapes
from bertjax.model.parameters import by_name, leaf_name
from tests.testing import tiny

DETAILS = bundle.Details(pooler_trained=True)


@pytest.fixture(scope="module")
def params():
  return jax.tree.map(jnp.asarray, tiny.params())


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
  folder = tmp_path_factory.mktemp("tokenizer")
  (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n")
  return folder


def test_files_that_are_missing_new_or_other_are_named(tmp_path):
  for name in "abc":
    (tmp_path / name).write_text(name)
  known = files.sha256_of_folder(tmp_path)
  bundle_checks.check_tokenizer_files(tmp_path, known)
  (tmp_path / "a").unlink()
  (tmp_path / "b").write_text("x")
  (tmp_path / "d").touch()
  with pytest.raises(ValueError, match=r"/a, \S+/b, \S+/d changed since"):
    bundle_checks.check_tokenizer_files(tmp_path, known)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_of_a_diverged_run_are_refused_by_name(
  tmp_path, params, tokenizer, value
):
  name = "encoder/layers/mlp_up/kernel"
  broken = jax.tree.map_with_path(
    lambda path, leaf: (
      leaf.at[1, 0, 0].set(value) if leaf_name(path) == name else leaf
    ),
    params,
  )
  path = tmp_path / "b"
  bundle.write_bundle(path, broken, tiny.CONFIG, tokenizer, DETAILS)
  with pytest.raises(ValueError, match=f"nan or infinite in {name}: the run"):
    bertjax.load_bundle(path)


def describe(params):
  return {
    name: {"shape": list(leaf.shape), "dtype": str(leaf.dtype)}
    for name, leaf in by_name(params).items()
  }


@pytest.mark.parametrize("field", ["shape", "dtype"])
@pytest.mark.parametrize("name", sorted(by_name(tiny.params())))
def test_each_parameter_that_does_not_fit_the_model_is_refused_by_name(
  params, name, field
):
  leaves = describe(params)
  bundle_checks.check_shapes(tiny.CONFIG, leaves, pretrained=True)
  wanted = f"float32{leaves[name]['shape']}"
  other = {"shape": [3, *leaves[name]["shape"]], "dtype": "bfloat16"}[field]
  leaves[name][field] = other
  found = f"{leaves[name]['dtype']}{leaves[name]['shape']}"
  message = f"{name} is {found}, and its model has {wanted}"
  with pytest.raises(ValueError, match=re.escape(message)):
    bundle_checks.check_shapes(tiny.CONFIG, leaves, pretrained=True)


@pytest.mark.parametrize(
  ("change", "message"),
  [
    (lambda each: each.pop("mlm_head/bias"), "mlm_head/bias is absent, and"),
    (
      lambda each: [each.pop(n) for n in [*each] if n.startswith("pair_head")],
      "pair_head/dense/kernel is absent, and its model has float32",
    ),
    (
      lambda each: each.update({"adapter/w": {"shape": [1], "dtype": "int8"}}),
      r"adapter/w is int8\[1\], and its model has none",
    ),
    (lambda each: each.clear(), "; and 27 more"),
  ],
)
def test_parameters_that_are_missing_or_too_many_are_refused(
  params, change, message
):
  leaves = describe(params)
  change(leaves)
  with pytest.raises(ValueError, match=message):
    bundle_checks.check_shapes(tiny.CONFIG, leaves, pretrained=True)


@pytest.mark.parametrize("sequence_head", ["pooler", "relu", "norm"])
def test_fine_tuning_makes_a_pooler_that_pre_training_lacks(sequence_head):
  config = dataclasses.replace(
    tiny.CONFIG, pooler=False, sequence_head=sequence_head
  )
  leaves = {
    name: {"shape": list(leaf.shape), "dtype": "float32"}
    for name, leaf in shapes(CLASSIFICATION, config, 3).items()
  }
  bundle_checks.check_shapes(config, leaves, pretrained=False)
  leaves["pooler/dense/bias"]["shape"] = [3]
  with pytest.raises(ValueError, match="pooler/dense/bias is float32"):
    bundle_checks.check_shapes(config, leaves, pretrained=False)
  with pytest.raises(ValueError, match=r"mlm_head/.* is absent"):
    bundle_checks.check_shapes(config, leaves, pretrained=True)


@pytest.mark.parametrize(
  ("classes", "fits"), [(1, True), (7, True), (0, False)]
)
def test_a_head_of_fine_tuning_has_any_number_of_classes(params, classes, fits):
  leaves = {
    name: leaf
    for name, leaf in describe(params).items()
    if name.startswith("encoder")
  }
  shape = [tiny.CONFIG.hidden_size, classes or 3]
  leaves["classifier/dense/kernel"] = {"shape": shape, "dtype": "float32"}
  if classes:
    leaves["classifier/dense/bias"] = {"shape": [classes], "dtype": "float32"}
  with contextlib.ExitStack() as expected:
    if not fits:
      message = "classifier/dense/bias is absent"
      expected.enter_context(pytest.raises(ValueError, match=message))
    bundle_checks.check_shapes(tiny.CONFIG, leaves, pretrained=False)


def test_a_bundle_that_does_not_fit_its_model_is_refused(
  tmp_path, params, tokenizer
):
  path, name = tmp_path / "b", "pooler/dense/kernel"
  bundle.write_bundle(path, params, tiny.CONFIG, tokenizer, DETAILS)
  record = digest.unseal(json.loads((path / bundle.RECORD).read_text()))
  record["leaves"][name]["shape"] = [3, 32]
  (path / bundle.RECORD).write_text(json.dumps(digest.seal(record)))
  with pytest.raises(ValueError, match=rf"b cannot be read: {name} is float32"):
    bundle.read_bundle_info(path)
