# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
from typing import Any

import jax
import numpy as np
import pytest

from bertjax.checkpoints.bundle import load_bundle
from data_pipelines.tokenizers import tokenizers
from launch import predict
from launch.inference import masks
from tests.testing import small

MASKED = "the [MASK] by the [MASK]."


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
  return small.make_bundle(tmp_path_factory.mktemp("masks") / "bundle")


def test_every_mask_is_filled_with_ordinary_tokens(bundle):
  guesses = predict.fill_mask(bundle, MASKED, top_k=1000)
  assert len(guesses) == 2
  for each in guesses:
    pieces = [guess.text for guess in each]
    assert set(pieces) == set(small.TOKENS[6:])
    values = [guess.probability for guess in each]
    assert values == sorted(values, reverse=True)
    # The special pieces have the rest.
    assert 0 < sum(values) < 1


def test_probabilities_are_the_models(bundle):
  model, params = load_bundle(bundle)
  ids = [small.TOKENS.index(p) for p in ("[CLS]", "the", "[MASK]", "[SEP]")]
  row = {
    "tokens_BS": np.asarray([ids], np.int32),
    "types_BS": np.zeros((1, 4), np.int32),
    "positions_BS": np.arange(4, dtype=np.int32)[None],
    "packs_BS": np.ones((1, 4), np.int32),
    "starts_BR": np.zeros((1, 1), np.int32),
  }
  places_BP = np.asarray([[2]], np.int32)
  apply = jax.jit(
    lambda params: model.apply(
      {"params": params}, row, places_BP, deterministic=True
    )
  )
  outputs: Any = apply(params)
  logits_V = outputs["mlm_logits_BPV"][0, 0, : len(small.TOKENS)]
  expected_V = jax.nn.softmax(logits_V)
  (guesses,) = predict.fill_mask(bundle, "the [MASK]", top_k=3)
  for guess in guesses:
    np.testing.assert_allclose(
      guess.probability,
      expected_V[small.TOKENS.index(guess.text)],
      rtol=1e-4,
    )


def test_a_mask_looks_at_both_sides(bundle):
  (first,) = predict.fill_mask(bundle, "the [MASK] by the river")
  (second,) = predict.fill_mask(bundle, "the [MASK] by the hill")
  assert first != second


@pytest.mark.parametrize(
  ("text", "top_k", "words"),
  [
    ("the cod", 5, r"has no \[MASK\]"),
    ("the [mask]", 5, r"has no \[MASK\]"),
    ("[MASK] " + "a " * 14, 5, "17 tokens, and this model reads 16"),
    ("[MASK]", 0, "top_k=0"),
  ],
)
def test_a_text_that_cannot_be_filled_in_is_one_line(
  bundle, text, top_k, words
):
  with pytest.raises(ValueError, match=words) as caught:
    predict.fill_mask(bundle, text, top_k=top_k)
  assert "\n" not in str(caught.value)


def test_a_mask_stands_where_the_tokenizer_would_put_it():
  text = "the fox sees the lazy dog"
  tokenizer = tokenizers.train([text] * 4, "roberta", 300)
  whole = " ".join(["<mask>" if w == "lazy" else w for w in text.split()])
  ids, (place,) = masks.with_masks(tokenizer, whole)
  a, b = tokenizer.encode(["the fox sees the", " dog"])
  expected = tokenizer.template.join([*a, tokenizer.mask_id, *b])
  assert ids == expected.tolist()
  assert ids[place] == tokenizer.mask_id
  assert masks.with_masks(tokenizer, whole.replace("<mask>", "[MASK]")) == (
    ids,
    [place],
  )
  with pytest.raises(ValueError, match="the text has no <mask>; write one"):
    masks.with_masks(tokenizer, text)
