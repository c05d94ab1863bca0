# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The mapping table, both ways."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bertjax.config import ModelConfig
from bertjax.interop import huggingface
from bertjax.interop.architectures import (
  ARCHITECTURES,
  ENCODER,
  PRETRAINING,
)
from bertjax.interop.families.bert import BERT
from bertjax.interop.huggingface import from_huggingface, to_huggingface
from tests.testing.examples import SMALL
from tests.testing.huggingface_models import make_params, outputs_of

PARAMS = make_params(PRETRAINING)
WORD = "bert.embeddings.word_embeddings.weight"
DECODER = "cls.predictions.decoder.weight"


def test_a_model_with_other_parameters_has_no_counterpart(monkeypatch):
  """Such as one whose positions are not a table."""
  fewer = [row for row in BERT.table if "/position/" not in row.ours]
  tensors = to_huggingface(PARAMS, SMALL)
  other = dataclasses.replace(BERT, table=tuple(fewer))
  monkeypatch.setattr(huggingface, "family_of", lambda _: other)
  position = r"differ in \['encoder/embeddings/position/embedding'\]"
  with pytest.raises(ValueError, match=position):
    to_huggingface(PARAMS, SMALL)
  with pytest.raises(ValueError, match=position):
    from_huggingface(tensors, SMALL)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_there_and_back_keeps_every_bit(architecture):
  params, count = make_params(architecture), outputs_of(architecture).size
  tensors = to_huggingface(params, SMALL, architecture, num_classes=count)
  back = from_huggingface(tensors, SMALL, architecture, num_classes=count)
  jax.tree.map(np.testing.assert_array_equal, params, back)
  bare = not any(name.startswith("bert.") for name in tensors)
  assert bare == (architecture == ENCODER)


def test_a_matrix_is_output_by_input_and_heads_are_flattened():
  tensors = to_huggingface(PARAMS, SMALL)
  attention = PARAMS["encoder"]["layers"]["attention"]
  prefix = "bert.encoder.layer.1.attention"
  query_ED = tensors[f"{prefix}.self.query.weight"]
  np.testing.assert_array_equal(
    query_ED[2 * 8 + 3], attention["query"]["kernel"][1, :, 2, 3]
  )
  assert tensors[f"{prefix}.self.query.bias"].shape == (32,)
  out_DE = tensors[f"{prefix}.output.dense.weight"]
  np.testing.assert_array_equal(
    out_DE[:, 2 * 8 + 3], attention["out"]["kernel"][1, 2, 3]
  )
  assert all(array.flags.c_contiguous for array in tensors.values())


def test_old_names_and_tied_copies_are_understood():
  tensors = to_huggingface(PARAMS, SMALL)
  old = {
    name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
      "LayerNorm.bias", "LayerNorm.beta"
    ): array
    for name, array in tensors.items()
  }
  old[DECODER] = tensors[WORD]
  old["cls.predictions.decoder.bias"] = tensors["cls.predictions.bias"]
  old["bert.embeddings.position_ids"] = np.arange(64)[None]
  back = from_huggingface(old, SMALL)
  jax.tree.map(np.testing.assert_array_equal, PARAMS, back)
  # Of two names for one array some writers keep the other one.
  del old[WORD], old["cls.predictions.bias"]
  back = from_huggingface(old, SMALL)
  jax.tree.map(np.testing.assert_array_equal, PARAMS, back)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, np.float16])
def test_half_precision_is_widened_exactly(dtype):
  tensors = {
    name: array.astype(dtype)
    for name, array in to_huggingface(PARAMS, SMALL).items()
  }
  back = from_huggingface(tensors, SMALL)
  for ours, wide in zip(
    jax.tree.leaves(PARAMS), jax.tree.leaves(back), strict=True
  ):
    assert wide.dtype == np.float32
    np.testing.assert_array_equal(wide, ours.astype(dtype).astype(np.float32))
    np.testing.assert_array_equal(wide.astype(dtype), ours.astype(dtype))


def test_a_part_is_left_out_whether_it_is_there_or_not():
  tensors = to_huggingface(PARAMS, SMALL)
  tensors[DECODER] = np.zeros((120, 32), np.float32)  # an untied decoder
  new = ("mlm_head", "pair_head")
  whole = from_huggingface(tensors, SMALL, without=new)
  assert sorted(whole) == ["encoder", "pooler"]
  encoder = {n: a for n, a in tensors.items() if not n.startswith("cls.")}
  bare = from_huggingface(encoder, SMALL, without=new)
  jax.tree.map(np.testing.assert_array_equal, whole, bare)


@pytest.mark.parametrize(
  ("change", "message"),
  [
    (
      lambda t: t.update({"extra": t.pop("cls.predictions.bias")}),
      r"missing: \['cls.predictions.bias'\]; unknown: \['extra'\]",
    ),
    (
      lambda t: t.update({"bert.pooler.dense.bias": np.ones(31)}),
      r"bert.pooler.dense.bias has shape \(31,\); the model has \(32,\)",
    ),
    (
      lambda t: t.update({DECODER: np.ones((120, 32))}),
      "decoder.weight differs from bert.embeddings.word_embeddings.weight",
    ),
    (
      lambda t: t.update({"bert.pooler.dense.bias": np.ones(32, np.int8)}),
      "bert.pooler.dense.bias is int8; give one of float32, float16, bfloat16",
    ),
    (
      lambda t: t.update(
        {"bert.pooler.dense.bias": np.array([np.nan, np.inf] * 16, np.float16)}
      ),
      "bert.pooler.dense.bias has 32 of 32 values that are not finite; fetch",
    ),
  ],
)
def test_what_does_not_fit_is_named(change, message):
  tensors = to_huggingface(PARAMS, SMALL)
  change(tensors)
  with pytest.raises(ValueError, match=message):
    from_huggingface(tensors, SMALL)


def test_a_head_of_another_kind_is_named_on_both_sides():
  tensors = to_huggingface(
    make_params("BertForQuestionAnswering"), SMALL, "BertForQuestionAnswering"
  )
  with pytest.raises(ValueError, match=r"missing: .'classifier\.bias") as told:
    from_huggingface(
      tensors, SMALL, "BertForTokenClassification", num_classes=3
    )
  assert "unknown: ['qa_outputs.bias', 'qa_outputs.weight']" in str(told.value)
  with pytest.raises(ValueError, match=r"parameters missing: .*'pooler/dense"):
    to_huggingface(make_params("BertForMaskedLM"), SMALL)


def test_parameters_of_another_model_are_refused():
  other = ModelConfig(**{**vars(SMALL), "vocab_size": 128})
  with pytest.raises(ValueError, match="word/embedding has shape"):
    to_huggingface(PARAMS, other)
