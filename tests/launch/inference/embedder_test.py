# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Texts have vectors, whatever they are encoded with."""

import numpy as np
import pytest

from bertjax.checkpoints.bundle import read_bundle_info
from launch.inference import embedder
from launch.inference.embedder import Embedder, Options
from launch.preflight.policy import Policy
from tests.testing import small


@pytest.fixture(scope="module")
def info(tmp_path_factory):
  folder = tmp_path_factory.mktemp("embedder") / "bundle"
  return read_bundle_info(small.make_bundle(folder))


def test_all_texts_are_computed_and_counted_together(info, monkeypatch, caplog):
  embed = Embedder(info, Options(normalize=True), ["mean", "cls"])
  texts = ["the cod", "the oak", "the cod " * 9]
  whole = embed(texts)
  assert set(whole) == {"mean", "cls"}
  assert all(each.shape == (3, embed.width) for each in whole.values())
  caplog.clear()
  monkeypatch.setattr(embedder, "_AT_ONCE", 2)
  for name, vectors in embed(texts).items():
    np.testing.assert_array_equal(vectors, whole[name])
  (told,) = (record.message for record in caplog.records)
  assert told.startswith("1 of 3 texts are longer than 16 tokens")
  # There is no larger --seq_length.
  assert told.endswith("fix: give shorter texts")


def test_a_length_is_one_that_the_model_reads(info):
  with pytest.raises(ValueError, match=r"seq_length=17, .* reads 16 tokens"):
    Embedder(info, Options(seq_length=17), ["mean"])
  strict = Options(seq_length=3, policy=Policy(strict=frozenset(["cut_texts"])))
  with pytest.raises(ValueError, match="a larger --seq_length, up to 16"):
    Embedder(info, strict, ["mean"])(["the cod"])
