# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The same weights in transformers' PyTorch model: same numbers."""

import dataclasses
from typing import Any

import jax
import numpy as np
import pytest

from bertjax.config import SIZES, ComputeConfig, ObjectiveConfig
from bertjax.interop.huggingface import from_huggingface
from bertjax.interop.huggingface_files import (
  config_to_huggingface,
  export_model,
)
from bertjax.model import BertForPreTraining
from bertjax.model.attention import layer_inputs
from bertjax.model.embeddings import Embeddings
from bertjax.model.encoder import Layer
from bertjax.objectives.losses import weighted_total
from bertjax.objectives.masking import mask_tokens, prediction_counts
from bertjax.objectives.metrics import MetricSums
from bertjax.objectives.pretraining import (
  coefficients,
  inactive_parts,
  pretraining_losses,
  pretraining_weights,
)
from tests.testing.examples import SMALL, example, init_params, rows, vocabulary

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
OBJECTIVE = ObjectiveConfig()


def make_batch(config, count, length, *, padded=True):
  shortest = 6 if padded else length
  lengths = np.linspace(shortest, length, count).astype(int)
  examples = [example(int(n), 1, config.vocab_size) for n in lengths]
  return rows([[one] for one in examples], length, 1)


def theirs(config, seed):
  """transformers' model with weights of its own, dropout off."""
  torch.manual_seed(seed)
  settings = config_to_huggingface(config, "BertForPreTraining", 0)
  model = transformers.BertForPreTraining(transformers.BertConfig(**settings))
  with torch.no_grad():
    for name, parameter in model.named_parameters():
      # Biases and norms start at 0 and 1, where a mistake does not show; nor
      # does another GELU where the sums are as small as a narrow model's.
      if parameter.ndim == 1:
        parameter.add_(0.1 * torch.randn_like(parameter))
      else:
        parameter.mul_((SIZES["base"].hidden_size / config.hidden_size) ** 0.5)
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


def layer_states(config, params, features):
  """Hidden states as transformers lists them: embeddings, then each layer."""
  encoder = params["encoder"]
  embeddings = Embeddings(config, ComputeConfig())
  layer = Layer(config, ComputeConfig(), deterministic=True)
  step = jax.jit(
    lambda params, state_BSD: layer.apply(
      {"params": params}, state_BSD, layer_inputs(features, config)
    )[0]
  )
  state_BSD: Any = embeddings.apply(
    {"params": encoder["embeddings"]}, features, deterministic=True
  )
  yield state_BSD
  for index in range(config.num_layers):
    state_BSD = step(
      jax.tree.map(lambda leaf, i=index: leaf[i], encoder["layers"]), state_BSD
    )
    yield state_BSD


def make_total(config, objective):
  """(params, features, masks, labels) → total, outputs, losses, states."""
  model = BertForPreTraining(config)

  def total(params, features, masked, labels):
    outputs: Any = model.apply(
      {"params": params}, features, masked.positions_BP, deterministic=True
    )
    batch = {"masked": masked, "pair_label_BR": labels}
    losses = pretraining_losses(outputs, batch, objective, None)
    weights = pretraining_weights(batch, objective)
    value = weighted_total(losses, weights, coefficients(objective))
    states = model.apply(
      {"params": params}, features, method="encode", deterministic=True
    )
    return value, (outputs, losses, states)

  return jax.jit(jax.value_and_grad(total, has_aux=True))


def compare(config, *batches, objective=OBJECTIVE):
  """Assert equal states, logits, losses and gradients."""
  reference = theirs(config, seed=0)
  params = from_huggingface(as_numpy(reference.state_dict().items()), config)
  total = make_total(config, objective)
  for batch in batches:
    length = batch["tokens_BS"].shape[1]
    slots = int(prediction_counts(length, objective.mask_rate).max())
    masked = jax.jit(
      lambda batch, slots=slots: mask_tokens(
        batch, vocabulary(config.vocab_size), objective, slots=slots
      )
    )(batch)
    features = {**batch, "tokens_BS": masked.tokens_BS}
    (value, (outputs, losses, states)), gradients = total(
      params, features, masked, batch["pair_label_BR"]
    )
    inputs = tensors_of(batch, masked)
    reference.zero_grad()
    answer = reference(**inputs, output_hidden_states=True)
    compare_states(answer, layer_states(config, params, features), batch)
    compare_outputs(reference, answer, states, outputs, masked, batch)
    compare_losses(answer, inputs, value, losses, objective)
    named = [
      (name, torch.zeros_like(p) if p.grad is None else p.grad)
      for name, p in reference.named_parameters()
    ]
    compare_gradients(
      gradients,
      from_huggingface(as_numpy(named), config),
      inactive_parts(objective),
    )


def close(ours, name, tensor, where: Any = ...):
  np.testing.assert_allclose(
    np.asarray(ours)[where],
    tensor.detach().numpy()[where],
    atol=1e-5,
    rtol=0,
    err_msg=name,
  )


def compare_states(answer, states, batch):
  real_BS = batch["packs_BS"] > 0
  for number, (ours, tensor) in enumerate(
    zip(states, answer.hidden_states, strict=True)
  ):
    close(ours, f"hidden {number}", tensor, real_BS)


def compare_outputs(reference, answer, states, outputs, masked, batch):
  # The scan, where the states above were taken layer by layer.
  last = answer.hidden_states[-1]
  close(states[0], "hidden", last, batch["packs_BS"] > 0)
  close(states[1][:, 0], "pooled", reference.bert.pooler(last))
  close(
    outputs["pair_logits_BRC"][:, 0], "pair", answer.seq_relationship_logits
  )
  filled = np.asarray(masked.weights_BP) > 0
  gathered = torch.take_along_dim(
    answer.prediction_logits,
    torch.tensor(np.asarray(masked.positions_BP), dtype=torch.long)[..., None],
    dim=1,
  )
  close(outputs["mlm_logits_BPV"], "mlm", gathered, filled)


def compare_losses(answer, inputs, value, losses, objective):
  """Also walks back through torch's graph."""
  entropy = torch.nn.functional.cross_entropy
  vocab = answer.prediction_logits.shape[-1]
  parts = {
    "mlm_loss": entropy(
      answer.prediction_logits.reshape(-1, vocab), inputs["labels"].reshape(-1)
    )
  }
  if objective.next_sentence == "nsp":
    parts["nsp_loss"] = entropy(
      answer.seq_relationship_logits, inputs["next_sentence_label"]
    )
    # The sum that the original takes, and transformers too.
    assert float(value) == pytest.approx(answer.loss.item(), rel=1e-5)
  sums = MetricSums()
  sums.add(losses)
  means = sums.means()
  for name, part in parts.items():
    assert means[name] == pytest.approx(part.item(), rel=1e-5)
  whole = torch.stack([*parts.values()]).sum()
  assert float(value) == pytest.approx(whole.item(), rel=1e-5)
  whole.backward()


def compare_gradients(ours, theirs, inactive):
  """Leaf by leaf; those that no loss reaches are zero on both sides."""
  for (path, left), right in zip(
    jax.tree.leaves_with_path(ours), jax.tree.leaves(theirs), strict=True
  ):
    name = jax.tree_util.keystr(path, simple=True, separator="/")
    left, largest = np.asarray(left), np.abs(right).max()
    if name.startswith(inactive):
      assert not left.any(), name
      assert not right.any(), name
      continue
    if name.endswith("key/bias"):
      # Mathematically zero: the softmax does not feel it.
      assert max(np.abs(left).max(), largest) <= 1e-7, name
      continue
    assert largest > 0, name
    assert np.abs(left - right).max() <= 1e-4 * largest, name


def both_batches(config, count, length):
  return [
    make_batch(config, count, length, padded=padded) for padded in (True, False)
  ]


@pytest.mark.parametrize(
  "activation", ["gelu", pytest.param("gelu_tanh", marks=pytest.mark.full)]
)
def test_two_layers_equal_transformers(activation):
  config = dataclasses.replace(SMALL, activation=activation)
  padded, whole = both_batches(config, 6, 24)
  assert not padded["packs_BS"].all()
  assert whole["packs_BS"].all()
  compare(config, padded, whole)


def test_without_a_pair_loss_the_same_leaves_are_inactive():
  objective = ObjectiveConfig(next_sentence="off")
  assert inactive_parts(objective) == ("pooler", "pair_head")
  compare(SMALL, make_batch(SMALL, 6, 24), objective=objective)


def test_base_has_the_settings_of_the_published_one():
  """Which both sides of a comparison would share, whatever they were."""
  settings = config_to_huggingface(SIZES["base"], "BertForPreTraining", 0)
  published = transformers.BertConfig()
  del settings["architectures"]
  assert "layer_norm_eps" in settings
  for name, value in settings.items():
    assert getattr(published, name) == value, name


def test_parity_tells_the_flavours_of_gelu_apart():
  batch = make_batch(SMALL, 6, 24)
  reference = theirs(SMALL, seed=0)
  other = dataclasses.replace(SMALL, activation="gelu_tanh")
  params = from_huggingface(as_numpy(reference.state_dict().items()), other)
  answer = reference(
    input_ids=torch.tensor(batch["tokens_BS"], dtype=torch.long),
    token_type_ids=torch.tensor(batch["types_BS"], dtype=torch.long),
    attention_mask=torch.tensor(batch["packs_BS"], dtype=torch.long),
    output_hidden_states=True,
  )
  with pytest.raises(AssertionError, match="hidden 1"):
    compare_states(answer, layer_states(other, params, batch), batch)


@pytest.mark.full
@pytest.mark.parametrize("activation", ["gelu", "gelu_tanh"])
def test_twelve_layers_equal_transformers(activation):
  config = dataclasses.replace(SIZES["base"], activation=activation)
  compare(config, *both_batches(config, 4, 128))


@pytest.mark.full
def test_twelve_layers_without_a_pair_loss_equal_transformers():
  config = SIZES["base"]
  objective = ObjectiveConfig(next_sentence="off")
  compare(config, make_batch(config, 4, 128), objective=objective)


def load(name, folder):
  """Load a folder; return the model, and the unexpected names by their head."""
  model, report = getattr(transformers, name).from_pretrained(
    folder, output_loading_info=True
  )
  unexpected = report.pop("unexpected_keys")
  assert not any(report.values()), report
  return model.eval(), {".".join(key.split(".")[:2]) for key in unexpected}


def test_transformers_loads_an_export_whole(tmp_path):
  params = init_params()
  folder = export_model(
    params, SMALL, tmp_path, architecture="BertForPreTraining", pad_id=0
  )
  batch = make_batch(SMALL, 6, 24)
  inputs = {
    name: torch.tensor(batch[ours], dtype=torch.long)
    for name, ours in (
      ("input_ids", "tokens_BS"),
      ("token_type_ids", "types_BS"),
      ("attention_mask", "packs_BS"),
    )
  }
  model, heads = load("AutoModel", folder)
  assert heads == {"cls.predictions", "cls.seq_relationship"}
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
  outputs: Any = BertForPreTraining(SMALL).apply(
    {"params": params}, batch, np.tile([[1, 2]], (6, 1)), deterministic=True
  )
  whole, heads = load("AutoModelForPreTraining", folder)
  assert not heads
  masked, heads = load("AutoModelForMaskedLM", folder)
  assert heads <= {"cls.seq_relationship", "bert.pooler"}
  both = whole(**inputs)
  for logits in (both.prediction_logits, masked(**inputs).logits):
    np.testing.assert_allclose(
      outputs["mlm_logits_BPV"],
      logits.detach().numpy()[:, 1:3],
      atol=1e-4,
      rtol=0,
    )
  np.testing.assert_allclose(
    outputs["pair_logits_BRC"][:, 0],
    both.seq_relationship_logits.detach().numpy(),
    atol=1e-5,
    rtol=0,
  )
