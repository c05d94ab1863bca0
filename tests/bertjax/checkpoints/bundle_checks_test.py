# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Weights of a bundle fit its model and are numbers."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bertjax
from bertjax import files
from bertjax.checkpoints import bundle, bundle_checks, digest
from bertjax.model.parameters import leaf_name
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


@pytest.mark.parametrize(
  ("name", "change"),
  [
    ("encoder/embeddings/word/embedding", {"shape": [3, 32]}),
    ("encoder/layers/attention/query/kernel", {"dtype": "bfloat16"}),
  ],
)
def test_parameters_that_do_not_fit_the_model_are_refused_by_name(
  tmp_path, params, tokenizer, name, change
):
  path = tmp_path / "b"
  bundle.write_bundle(path, params, tiny.CONFIG, tokenizer, DETAILS)
  record = digest.unseal(json.loads((path / bundle.RECORD).read_text()))
  record["leaves"][name] |= change
  (path / bundle.RECORD).write_text(json.dumps(digest.seal(record)))
  with pytest.raises(ValueError, match=f"{name} is .*, and its model has"):
    bundle.read_bundle_info(path)
