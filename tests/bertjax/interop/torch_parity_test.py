# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The same weights in transformers' PyTorch model: same numbers."""

import dataclasses
from typing import Any

import jax
import numpy as np
import pytest

from bertjax.config import SIZES, ObjectiveConfig
from bertjax.interop.huggingface import from_huggingface
from bertjax.interop.huggingface_files import (
  config_to_huggingface,
  export_pretraining,
)
from bertjax.masking import mask_tokens, prediction_counts
from bertjax.metrics import ratios
from bertjax.model import BertForPreTraining
from bertjax.objectives import (
  coefficients,
  pretraining_losses,
  pretraining_weights,
  weighted_total,
)
from tests.bertjax.examples import (
  SMALL,
  example,
  init_params,
  rows,
  vocabulary,
)

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
OBJECTIVE = ObjectiveConfig()


def make_batch(config, count, length):
  lengths = np.linspace(6, length, count).astype(int)
  examples = [example(int(n), 1, config.vocab_size) for n in lengths]
  return rows([[one] for one in examples], length, 1)


def theirs(config, seed):
  """transformers' model with weights of its own, dropout off."""
  torch.manual_seed(seed)
  settings = config_to_huggingface(config, "BertForPreTraining", 0)
  model = transformers.BertForPreTraining(transformers.BertConfig(**settings))
  with torch.no_grad():
    for name, parameter in model.named_parameters():
      # Biases and norms start at 0 and 1, where a mistake does not show.
      if parameter.ndim == 1:
        parameter.add_(0.1 * torch.randn_like(parameter))
      assert parameter.std() > 0, name
  return model.eval()


def as_numpy(named):
  return {name: tensor.detach().numpy() for name, tensor in named}


def tensors_of(batch, masked):
  labels_BS = np.full_like(batch["tokens_BS"], -100)
  for b, p in np.argwhere(np.asarray(masked.weights_BP) > 0):
    labels_BS[b, masked.positions_BP[b, p]] = masked.targets_BP[b, p]
  arrays = {
    "input_ids": np.asarray(masked.tokens_BS),
    "token_type_ids": batch["types_BS"],
    "attention_mask": batch["packs_BS"],
    "labels": labels_BS,
    "next_sentence_label": batch["pair_label_BR"][:, 0],
  }
  return {
    name: torch.tensor(array, dtype=torch.long)
    for name, array in arrays.items()
  }


def compare(config, batch):
  """Assert equal states, logits, losses and gradients."""
  reference = theirs(config, seed=0)
  params = from_huggingface(as_numpy(reference.state_dict().items()), config)
  model = BertForPreTraining(config)
  length = batch["tokens_BS"].shape[1]
  slots = int(prediction_counts(length, OBJECTIVE.mask_rate).max())
  pieces = vocabulary(config.vocab_size)
  labels = batch["pair_label_BR"]

  @jax.jit
  def mask(batch):
    return mask_tokens(batch, pieces, OBJECTIVE, num_slots=slots)

  masked = mask(batch)
  features = {**batch, "tokens_BS": masked.tokens_BS}

  def total(params):
    outputs: Any = model.apply(
      {"params": params}, features, masked.positions_BP, deterministic=True
    )
    losses = pretraining_losses(outputs, masked, labels, OBJECTIVE, None)
    weights = pretraining_weights(masked, labels, OBJECTIVE)
    value = weighted_total(losses, weights, coefficients(OBJECTIVE))
    states = model.apply(
      {"params": params}, features, method="encode", deterministic=True
    )
    return value, (outputs, losses, states)

  (value, (outputs, losses, states)), gradients = jax.jit(
    jax.value_and_grad(total, has_aux=True)
  )(params)
  inputs = tensors_of(batch, masked)
  answer = reference(**inputs, output_hidden_states=True)
  answer.loss.backward()

  close = lambda ours, name, tensor, where=...: np.testing.assert_allclose(
    np.asarray(ours)[where],
    tensor.detach().numpy()[where],
    atol=1e-5,
    rtol=0,
    err_msg=name,
  )
  real_BS = batch["packs_BS"] > 0
  close(states[0], "hidden", answer.hidden_states[-1], real_BS)
  pooled = reference.bert.pooler(answer.hidden_states[-1])
  close(states[1][:, 0], "pooled", pooled)
  close(
    outputs["pair_logits_BR2"][:, 0], "pair", answer.seq_relationship_logits
  )
  filled = np.asarray(masked.weights_BP) > 0
  gathered = np.take_along_axis(
    answer.prediction_logits.detach().numpy(),
    np.asarray(masked.positions_BP)[..., None],
    axis=1,
  )
  np.testing.assert_allclose(
    np.asarray(outputs["mlm_logits_BPV"])[filled],
    gathered[filled],
    atol=1e-5,
    rtol=0,
  )
  assert float(value) == pytest.approx(answer.loss.item(), rel=1e-5)
  split = torch.nn.functional.cross_entropy
  means = ratios(losses)
  vocab = config.vocab_size
  logits = answer.prediction_logits.reshape(-1, vocab)
  assert means["mlm_loss"] == pytest.approx(
    split(logits, inputs["labels"].reshape(-1)).item(), rel=1e-5
  )
  assert means["nsp_loss"] == pytest.approx(
    split(answer.seq_relationship_logits, inputs["next_sentence_label"]).item(),
    rel=1e-5,
  )
  named = [(name, p.grad) for name, p in reference.named_parameters()]
  compare_gradients(gradients, from_huggingface(as_numpy(named), config))


def compare_gradients(ours, theirs):
  for (path, left), right in zip(
    jax.tree.leaves_with_path(ours), jax.tree.leaves(theirs), strict=True
  ):
    name = jax.tree_util.keystr(path, simple=True, separator="/")
    left, largest = np.asarray(left), np.abs(right).max()
    if name.endswith("key/bias"):
      # Mathematically zero: the softmax does not feel it.
      assert max(np.abs(left).max(), largest) <= 1e-7, name
      continue
    assert largest > 0, name
    assert np.abs(left - right).max() <= 1e-4 * largest, name


@pytest.mark.parametrize("activation", ["gelu", "gelu_tanh"])
def test_two_layers_equal_transformers(activation):
  config = dataclasses.replace(SMALL, activation=activation)
  compare(config, make_batch(config, 6, 24))


@pytest.mark.full
@pytest.mark.parametrize("activation", ["gelu", "gelu_tanh"])
def test_twelve_layers_equal_transformers(activation):
  config = dataclasses.replace(SIZES["base"], activation=activation)
  compare(config, make_batch(config, 4, 128))


def test_transformers_loads_an_export_whole(tmp_path):
  params = init_params()
  folder, nested = export_pretraining(params, SMALL, tmp_path, pad_id=0)
  batch = make_batch(SMALL, 6, 24)
  inputs = {
    name: torch.tensor(batch[ours], dtype=torch.long)
    for name, ours in (
      ("input_ids", "tokens_BS"),
      ("token_type_ids", "types_BS"),
      ("attention_mask", "packs_BS"),
    )
  }
  model, report = transformers.AutoModel.from_pretrained(
    folder, output_loading_info=True
  )
  assert not any(report.values()), report
  answer = model(**inputs)
  states: Any = BertForPreTraining(SMALL).apply(
    {"params": params}, batch, method="encode", deterministic=True
  )
  hidden_BSD, pooled_BRD = states
  real_BS = batch["packs_BS"] > 0
  np.testing.assert_allclose(
    np.asarray(hidden_BSD)[real_BS],
    answer.last_hidden_state.detach().numpy()[real_BS],
    atol=1e-5,
    rtol=0,
  )
  np.testing.assert_allclose(
    pooled_BRD[:, 0], answer.pooler_output.detach().numpy(), atol=1e-5, rtol=0
  )
  whole, report = transformers.AutoModelForPreTraining.from_pretrained(
    nested, output_loading_info=True
  )
  assert not any(report.values()), report
  outputs: Any = BertForPreTraining(SMALL).apply(
    {"params": params}, batch, np.tile([[1, 2]], (6, 1)), deterministic=True
  )
  np.testing.assert_allclose(
    outputs["mlm_logits_BPV"],
    whole(**inputs).prediction_logits.detach().numpy()[:, 1:3],
    atol=1e-4,
    rtol=0,
  )
