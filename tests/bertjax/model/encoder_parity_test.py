# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The families' encoders against transformers' PyTorch classes, in float32.

Hidden states and logits within 1e-5, gradients within 1e-4 of the largest of a
leaf.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bertjax.config import checks
from bertjax.interop.architectures import MASKED_LM, PRETRAINING
from bertjax.model import BertForPreTraining
from bertjax.model.parameters import by_name
from tests.testing.examples import PAD, uneven_rows

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
from tests.testing import families  # noqa: E402

LENGTH = 24
# Each family as its authors have it, then with choices turned around.
ODD: dict[str, dict[str, Any]] = {
  # The head of transformers' RoBERTa has the exact GELU, whatever the layers.
  "roberta": {"num_heads": 1, "num_layers": 3, "layer_norm_epsilon": 1e-12},
  "distilbert": {"positions": "learned", "activation": "relu"},
  "albert": {"layer_groups": 2, "embedding_size": 48, "activation": "gelu"},
  "modernbert": {
    "use_bias": True,
    "norm": "layer",
    "activation": "silu",
    "attention_window": 2,
    "global_every": 2,
    "rotary_local_base": 0.0,
    "num_heads": 2,
    "intermediate_size": 40,
  },
}
FULL_ATTENTION: dict[str, Any] = {
  "attention_pattern": "full",
  "attention_window": 128,
  "rotary_local_base": 0.0,
}
CASES = [
  *((name, {}) for name in families.FAMILIES),
  # The family with the most choices stands for the others.
  ("modernbert", ODD["modernbert"]),
  *(
    pytest.param(name, changes, marks=pytest.mark.full)
    for name, changes in (
      *ODD.items(),
      ("modernbert", FULL_ATTENTION),
      ("modernbert", {"num_layers": 1}),  # which has no norm of attention
    )
    if changes is not ODD["modernbert"]
  ),
]
# Draws of each family, in the long tier.
DRAWS = 3


def draw_changes(name, seed):
  """Sizes and choices of a family at random, of which no one thought."""
  draw = np.random.default_rng([seed, *name.encode()])

  def pick(*values):
    return values[draw.integers(len(values))]

  heads, layers = pick(1, 2, 3, 5), pick(1, 2, 3, 4, 6)
  changes: dict[str, Any] = {
    "num_heads": heads,
    "num_layers": layers,
    "hidden_size": heads * pick(8, 10, 14),
    "intermediate_size": int(draw.integers(3, 70)),
    "vocab_size": int(draw.integers(20, 150)),
    "max_positions": int(draw.integers(LENGTH, 80)),
    "layer_norm_epsilon": pick(1e-12, 1e-5, 1e-3),
  }
  if name == "bert":
    changes["activation"] = pick("gelu", "gelu_tanh")
  elif name != "roberta":  # whose head has the exact GELU
    changes["activation"] = pick("gelu", "gelu_tanh", "silu", "relu")
  if name == "distilbert":  # which has one ε
    changes["positions"] = pick("learned", "sinusoidal")
    del changes["layer_norm_epsilon"]
  if name in ("bert", "roberta", "albert"):
    changes["type_vocab_size"] = 1 if name == "roberta" else pick(2, 3)
  if name == "albert":
    divisors = [n for n in range(1, layers + 1) if layers % n == 0]
    changes["layer_groups"] = pick(*divisors)
    changes["embedding_size"] = int(draw.integers(1, 40))
  if name == "modernbert":
    changes |= {
      "use_bias": pick(True, False),
      "norm": pick("layer", "layer_without_bias"),
      "rotary_base": pick(20.0, 10_000.0, 160_000.0),
      "rotary_local_base": pick(0.0, 30.0, 10_000.0),
      "attention_window": 2 * int(draw.integers(1, 16)),
      "global_every": int(draw.integers(2, 5)),
    }
  return changes


def weights_like(shape, seed):
  draw = np.random.default_rng(seed)
  return draw.standard_normal(shape).astype(np.float32)


def ours(config, params, batch, mix_BSD, mix_BSV):
  """Hidden states, logits of every position, and gradients of their mix.

  Where there is a pooler, the first logit of the pair head is added to the mix,
  so that the pooler has a gradient.
  """
  model = BertForPreTraining(config)
  every_BP = np.tile(np.arange(LENGTH, dtype=np.int32), (len(mix_BSD), 1))

  def total(params):
    hidden_BSD, _ = model.apply(
      {"params": params}, batch, method="encode", deterministic=True
    )
    outputs: Any = model.apply(
      {"params": params}, batch, every_BP, deterministic=True
    )
    logits_BSV = outputs["mlm_logits_BPV"]
    value = jnp.sum(hidden_BSD * mix_BSD) + jnp.sum(logits_BSV * mix_BSV)
    if config.pooler:
      value += jnp.sum(outputs["pair_logits_BRC"][..., 0])
    return value, (hidden_BSD, logits_BSV)

  (_, found), gradients = jax.jit(jax.value_and_grad(total, has_aux=True))(
    params
  )
  return (*found, gradients)


def theirs(family, model, batch, mix_BSD, mix_BSV):
  inputs = {
    "input_ids": torch.tensor(batch["tokens_BS"], dtype=torch.long),
    "attention_mask": torch.tensor(batch["packs_BS"], dtype=torch.long),
  }
  if family.with_types:
    inputs["token_type_ids"] = torch.tensor(batch["types_BS"], dtype=torch.long)
  hidden_BSD = getattr(model, family.encoder)(**inputs).last_hidden_state
  outputs = model(**inputs)
  total = (hidden_BSD * torch.tensor(mix_BSD)).sum()
  if family.config.pooler:  # the class with both heads
    logits_BSV = outputs.prediction_logits
    total = total + outputs.seq_relationship_logits[:, 0].sum()
  else:
    logits_BSV = outputs.logits
  total = total + (logits_BSV * torch.tensor(mix_BSV)).sum()
  total.backward()
  gradients = {
    name: np.zeros(p.shape, np.float32) if p.grad is None else p.grad.numpy()
    for name, p in model.named_parameters()
  }
  return hidden_BSD.detach().numpy(), logits_BSV.detach().numpy(), gradients


def check_gradients(config, got, expected):
  got, expected = by_name(got), by_name(expected)
  for name, leaf in expected.items():
    left, largest = np.asarray(got[name]), np.abs(leaf).max()
    if name.endswith("key/bias") and config.positions != "rotary":
      # Zero but for rounding: the softmax does not feel it. A rotation turns it
      # otherwise at each position.
      assert max(np.abs(left).max(), largest) <= 1e-4, name
      continue
    if name.endswith("word/embedding"):
      # torch gives no gradient to the row of padding, which is never read here
      # but by the head.
      left, leaf = left[PAD + 1 :], leaf[PAD + 1 :]
    # The only layer of a ModernBERT has no norm before attention.
    is_read = config.num_layers > 1 or "attention_layer_norm" not in name
    assert (largest > 0) == (is_read or config.first_attention_norm), name
    assert np.abs(left - leaf).max() <= 1e-4 * largest, name


@pytest.mark.parametrize(
  ("name", "changes"), CASES, ids=lambda value: str(value)[:60]
)
def test_a_family_equals_transformers(name, changes):
  check_parity(name, changes)


@pytest.mark.full
@pytest.mark.parametrize("seed", range(DRAWS))
@pytest.mark.parametrize("name", ["bert", *families.FAMILIES])
def test_any_shape_of_a_family_equals_transformers(name, seed):
  check_parity(name, draw_changes(name, seed))


def check_parity(name, changes):
  family = families.BERT if name == "bert" else families.FAMILIES[name]
  config = dataclasses.replace(family.config, **changes)
  checks.check_model(config, seq_length=LENGTH, vocab_size=1)
  architecture = PRETRAINING if config.pooler else MASKED_LM
  model = families.make_theirs(family, config, architecture=architecture)
  state = {key: value.numpy() for key, value in model.state_dict().items()}
  params = families.to_ours(config, state, 1.0)
  batch = uneven_rows(LENGTH, config.vocab_size)
  real_BS = batch["packs_BS"] > 0
  mixes = [
    np.where(
      real_BS[..., None], weights_like((*real_BS.shape, width), number), 0
    ).astype(np.float32)
    for number, width in enumerate((config.hidden_size, config.vocab_size))
  ]
  hidden_BSD, logits_BSV, got = ours(config, params, batch, *mixes)
  their_BSD, their_BSV, found = theirs(family, model, batch, *mixes)
  for left, right in ((hidden_BSD, their_BSD), (logits_BSV, their_BSV)):
    np.testing.assert_allclose(
      np.asarray(left)[real_BS], right[real_BS], atol=1e-5, rtol=0
    )
  expected = families.to_ours(config, found, 0.0)
  check_gradients(config, got, expected)
