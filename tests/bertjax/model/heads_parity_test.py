# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The families' heads against transformers' PyTorch classes, in float32.

Logits within 1e-5, gradients within 1e-4 of the largest of a leaf.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bertjax.checkpoints.digest import nest
from bertjax.config import checks
from bertjax.interop.architectures import CLASSIFICATION as SEQUENCE
from bertjax.interop.architectures import QUESTION_ANSWERING as SPAN
from bertjax.interop.architectures import TOKEN_CLASSIFICATION as TOKEN
from bertjax.interop.families.registry import FAMILIES as REGISTRY
from bertjax.model import (
  BertForQuestionAnswering,
  BertForSequenceClassification,
  BertForTokenClassification,
)
from bertjax.model.parameters import by_name
from tests.testing.examples import PAD, uneven_rows

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
from tests.testing import families  # noqa: E402

LENGTH, CLASSES = 24, 3
# What stands on an encoder: {our part: their name}, by the class it is of.
OF_SEQUENCES: dict[str, dict[str, str]] = {
  "roberta": {
    "pooler/dense": "classifier.dense",
    "classifier/dense": "classifier.out_proj",
  },
  "distilbert": {
    "pooler/dense": "pre_classifier",
    "classifier/dense": "classifier",
  },
  "albert": {
    "pooler/dense": "albert.pooler",
    "classifier/dense": "classifier",
  },
  "modernbert": {
    "pooler/dense": "head.dense",
    "pooler/layer_norm": "head.norm",
    "classifier/dense": "classifier",
  },
}
ODD = {
  "use_bias": True,
  "norm": "layer",
  "activation": "silu",
  "num_heads": 2,
  "intermediate_size": 40,
}
CASES: list[Any] = [
  *((name, SEQUENCE, "cls", {}) for name in OF_SEQUENCES),
  ("modernbert", SEQUENCE, "mean", {}),
  pytest.param("modernbert", SEQUENCE, "cls", ODD, marks=pytest.mark.full),
  *(
    pytest.param(
      *(name, of, "", {}),
      marks=() if name == "modernbert" else pytest.mark.full,
    )
    for name in OF_SEQUENCES
    for of in (TOKEN, SPAN)
  ),
]


def make_theirs(name, of, pooling, config):
  """Their model with a head, without zeros in its parameters."""
  settings: dict[str, Any] = {"num_labels": 2 if of == SPAN else CLASSES}
  if name == "modernbert":
    settings["classifier_pooling"] = pooling or "cls"
  return families.make_theirs(
    families.FAMILIES[name], config, 1, of, **settings
  )


def heads_of(name, of):
  """What stands on the encoder: {our part: their name}."""
  own = "span_head" if of == SPAN else "classifier"
  if of != SEQUENCE and name != "modernbert":
    # One linear layer, whatever stands before that of whole texts.
    return {f"{own}/dense": "qa_outputs" if of == SPAN else "classifier"}
  return {
    ours.replace("classifier", own): theirs
    for ours, theirs in OF_SEQUENCES[name].items()
  }


def to_ours(name, of, config, masked, arrays, missing):
  """Their arrays, weights or gradients, as the tree of our model."""
  # The class that is read has a head of words.
  whole = families.to_ours(
    config,
    {
      key: arrays.get(key, value.detach().numpy())
      for key, value in masked.named_parameters()
    },
    missing,
  )
  ours = {}
  for place, theirs in heads_of(name, of).items():
    is_norm = place.endswith("norm")
    weight = arrays[f"{theirs}.weight"]
    ours[f"{place}/{'scale' if is_norm else 'kernel'}"] = weight.T
    if f"{theirs}.bias" in arrays:
      ours[f"{place}/bias"] = arrays[f"{theirs}.bias"]
  return {"encoder": whole["encoder"], **nest(ours)}


def make_ours(of, pooling, config):
  if of == SEQUENCE:
    return BertForSequenceClassification(
      config, num_classes=CLASSES, pooling=pooling
    )
  if of == TOKEN:
    return BertForTokenClassification(config, num_classes=CLASSES)
  return BertForQuestionAnswering(config)


def logits_of(of, outputs):
  """Logits of a batch, the classes last."""
  if of == SEQUENCE:
    return outputs["logits_BRC"][:, 0]
  if of == TOKEN:
    return outputs["logits_BSC"]
  return jnp.stack(
    [outputs["start_logits_BS"], outputs["end_logits_BS"]], axis=-1
  )


def run_theirs(family, of, model, batch, mix):
  inputs = {
    "input_ids": torch.tensor(batch["tokens_BS"], dtype=torch.long),
    "attention_mask": torch.tensor(batch["packs_BS"], dtype=torch.long),
  }
  if family.with_types:
    inputs["token_type_ids"] = torch.tensor(batch["types_BS"], dtype=torch.long)
  found = model(**inputs)
  if of == SPAN:
    logits = torch.stack([found.start_logits, found.end_logits], dim=-1)
  else:
    logits = found.logits
  (logits * torch.tensor(mix)).sum().backward()
  gradients = {
    name: np.zeros(p.shape, np.float32) if p.grad is None else p.grad.numpy()
    for name, p in model.named_parameters()
  }
  return logits.detach().numpy(), gradients


def check_gradients(config, got, expected):
  got, expected = by_name(got), by_name(expected)
  assert got.keys() == expected.keys()
  for name, leaf in expected.items():
    left, largest = np.asarray(got[name]), np.abs(leaf).max()
    if name.endswith("key/bias") and config.positions != "rotary":
      # Zero but for rounding: the softmax does not feel it.
      assert max(np.abs(left).max(), largest) <= 1e-4, name
      continue
    if name.endswith("word/embedding"):
      # torch gives no gradient to the row of padding.
      left, leaf = left[PAD + 1 :], leaf[PAD + 1 :]
    assert largest > 0, name
    assert np.abs(left - leaf).max() <= 1e-4 * largest, name


def test_every_family_but_bert_is_compared():
  """BERT's heads are compared where its folders are read."""
  assert OF_SEQUENCES.keys() == REGISTRY.keys() - {"bert"}


@pytest.mark.parametrize(
  ("name", "of", "pooling", "changes"), CASES, ids=lambda value: str(value)[:24]
)
def test_a_head_equals_transformers(name, of, pooling, changes):
  family = families.FAMILIES[name]
  config = dataclasses.replace(family.config, **changes)
  checks.check_model(config, seq_length=LENGTH, vocab_size=1)
  masked = families.make_theirs(family, config)
  theirs = make_theirs(name, of, pooling, config)
  state = {key: value.numpy() for key, value in theirs.state_dict().items()}
  params = to_ours(name, of, config, masked, state, 1.0)
  batch = uneven_rows(LENGTH, config.vocab_size)
  real_BS = batch["packs_BS"] > 0
  width = 2 if of == SPAN else CLASSES
  shape = (len(real_BS), width) if of == SEQUENCE else (*real_BS.shape, width)
  mix = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
  if of != SEQUENCE:
    mix *= real_BS[..., None]
  model = make_ours(of, pooling, config)

  def total(params):
    outputs = model.apply({"params": params}, batch, deterministic=True)
    logits = logits_of(of, outputs)
    return jnp.sum(logits * mix), logits

  run = jax.jit(jax.value_and_grad(total, has_aux=True))
  (_, logits), got = run(params)
  expected, found = run_theirs(family, of, theirs, batch, mix)
  read = slice(None) if of == SEQUENCE else real_BS
  np.testing.assert_allclose(
    np.asarray(logits)[read], expected[read], atol=1e-5, rtol=0
  )
  assert expected[read].std() > 0.01  # weights that tell rows apart
  check_gradients(config, got, to_ours(name, of, config, masked, found, 0.0))
