# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Each family drops where transformers' modules do, at the same rates."""

import dataclasses
import itertools
import re

import flax.linen as nn
import jax
import numpy as np
import pytest

from bertjax.batch import ENCODER_FEATURES, empty_batch
from bertjax.config import ComputeConfig
from bertjax.interop.families.registry import FAMILIES
from bertjax.interop.huggingface_config import (
  config_from_huggingface,
  config_to_huggingface,
)
from bertjax.model import attention
from bertjax.model.encoder import Encoder
from bertjax.model.layers import Dense, Dropout
from configs.families import FAMILIES as RECORDS
from tests.testing.choices import CONFIGS

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

LENGTH = 8
# Places lie between products, however many of these stand together.
PRODUCT = "product"


class Found:
  """What happens in an encoder, in order; its layers are alike."""

  def __init__(self):
    self.by_path = {}

  def note(self, path, event):
    assert self.by_path.setdefault(path, event) == event, path

  def events(self):
    return [
      key
      for key, group in itertools.groupby(self.by_path.values())
      for _ in (range(1) if key == PRODUCT else group)
    ]


def theirs(mapping, monkeypatch):
  """Return products and (rate, width that is dropped) of a PyTorch encoder."""
  config = transformers.AutoConfig.for_model(**mapping)
  model = transformers.AutoModel.from_config(
    config, attn_implementation="eager"
  )
  found, drop = Found(), torch.nn.functional.dropout

  def note(module, arguments, output, path):
    del arguments
    if isinstance(module, torch.nn.Linear):
      found.note(path, PRODUCT)
    elif module.p:
      found.note(path, (module.p, output.shape[-1]))

  def note_weights(states, p=0.5, training=True, inplace=False):
    if states.ndim == 4 and p and training:
      found.note("weights", (p, "weights"))
    return drop(states, p, training, inplace)

  monkeypatch.setattr(torch.nn.functional, "dropout", note_weights)
  for name, module in model.named_modules():
    is_leaf = isinstance(module, torch.nn.Linear | torch.nn.Dropout)
    if is_leaf and "pooler" not in name:
      path = re.sub(r"\.\d+(?=\.)", "", name)  # without the layer
      module.register_forward_hook(
        lambda *given, path=path: note(*given, path=path)
      )
  model.train()(torch.ones((1, LENGTH), dtype=torch.long))
  return found.events()


def ours(config, monkeypatch):
  """Return the same of an encoder here, which is traced alone."""
  found, attend = Found(), attention.attend

  def note(run, arguments, options, context):
    output, module = run(*arguments, **options), context.module
    if context.method_name == "__call__":
      if isinstance(module, Dense):
        found.note(module.path, PRODUCT)
      elif isinstance(module, Dropout) and module.rate:
        assert not options["deterministic"]
        found.note(module.path, (module.rate, output.shape[-1]))
    return output

  def note_weights(*arguments):
    bits_BHTS, rate = arguments[4:6]
    if bits_BHTS is not None:
      found.note("weights", (rate, "weights"))
    return attend(*arguments)

  monkeypatch.setattr(attention, "attend", note_weights)
  batch = empty_batch(ENCODER_FEATURES, {"B": 1, "S": LENGTH, "R": 1})
  encoder = Encoder(config, ComputeConfig())
  with nn.intercept_methods(note):
    jax.eval_shape(
      lambda key: encoder.init(
        {"params": key, "dropout": key}, batch, deterministic=False
      ),
      jax.random.key(0),
    )
  return found.events()


def draw_config(name, seed):
  """A small shape of a family, with rates that draws of 16 bits can give."""
  draw = np.random.default_rng([seed, *name.encode()])
  heads = int(draw.integers(1, 4))
  hidden, weights = draw.permutation([0.125, 0.25, 0.375])[:2].tolist()
  return dataclasses.replace(
    CONFIGS[name],
    num_heads=heads,
    hidden_size=8 * heads,
    intermediate_size=int(draw.integers(30, 50)),
    hidden_dropout_rate=hidden,
    # Of 0 ModernBERT makes no module.
    attention_dropout_rate=weights if seed else 0.0,
  )


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", RECORDS)
def test_an_imported_encoder_drops_where_transformers_does(
  name, seed, monkeypatch
):
  mapping = config_to_huggingface(draw_config(name, seed), "BertModel", 0)
  expected = theirs(mapping, monkeypatch)
  found = ours(config_from_huggingface(mapping), monkeypatch)
  assert found == expected
  rates = [event[0] for event in found if event != PRODUCT]
  assert len(rates) >= 2  # the embeddings, and somewhere in a layer


def test_a_family_of_the_configs_drops_where_an_import_does():
  """But for ALBERT's feed-forward, which its authors drop."""
  fields = ("attention_output_dropout", "mlp_dropout_place")
  usual = {field: getattr(CONFIGS["bert"], field) for field in fields}
  for name, record in RECORDS.items():
    own, theirs = (
      {field: choices.get(field, usual[field]) for field in fields}
      for choices in (record.choices, FAMILIES[name].choices)
    )
    if name == "albert":
      assert theirs.pop("mlp_dropout_place") == "none"
      assert own.pop("mlp_dropout_place") == "output"
    assert own == theirs, name
