# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""XLM-R and CamemBERT are RoBERTa under other names, in every class."""

import jax
import numpy as np
import pytest

from bertjax.interop.architectures import (
  ARCHITECTURES,
  CLASSIFICATION,
  MASKED_LM,
  MULTIPLE_CHOICE,
  QUESTION_ANSWERING,
  TOKEN_CLASSIFICATION,
)
from bertjax.interop.families.registry import ALIASES
from bertjax.interop.huggingface_files import export_model, load_model
from tests.testing.examples import ragged

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
SIZES = {
  "num_hidden_layers": 3,
  "hidden_size": 24,
  "num_attention_heads": 3,
  "intermediate_size": 40,
  "vocab_size": 120,
  "max_position_embeddings": 41,
  "type_vocab_size": 1,
  "layer_norm_eps": 1e-5,
  "pad_token_id": 0,
  "num_labels": 3,
}
HEADS = (
  *(MASKED_LM, TOKEN_CLASSIFICATION, QUESTION_ANSWERING, MULTIPLE_CHOICE),
  CLASSIFICATION,
)
CASES = [
  ("xlm-roberta", CLASSIFICATION),
  *(
    pytest.param(name, architecture, marks=pytest.mark.full)
    for name in ALIASES
    for architecture in HEADS
    if (name, architecture) != ("xlm-roberta", CLASSIFICATION)
  ),
]


@pytest.mark.parametrize(("name", "architecture"), CASES)
def test_a_class_is_read_whole_and_gives_the_same(name, architecture, tmp_path):
  make = getattr(transformers, ALIASES[name].classes[architecture])
  settings = dict(SIZES)
  if architecture == QUESTION_ANSWERING:
    del settings["num_labels"]
  torch.manual_seed(0)
  model = make(transformers.AutoConfig.for_model(name, **settings)).eval()
  with torch.no_grad():
    for parameter in model.parameters():
      parameter.add_(0.1 * torch.randn_like(parameter))
  model.save_pretrained(tmp_path / "theirs")
  loaded = load_model(tmp_path / "theirs")
  batch = ragged(4, 24)
  inputs = {
    "input_ids": torch.tensor(batch["tokens_BS"], dtype=torch.long),
    "attention_mask": torch.tensor(batch["packs_BS"], dtype=torch.long),
  }
  with torch.no_grad():
    encoded = model.base_model(**inputs).last_hidden_state.numpy()
  kind = ARCHITECTURES[loaded.architecture]
  module = kind.make(loaded.config, loaded.outputs.size)
  params = {"encoder": loaded.params["encoder"]}
  hidden: object = jax.jit(
    lambda params: module.apply(
      {"params": params},
      batch,
      deterministic=True,
      method=lambda self, *args, **kw: self.encoder(*args, **kw),
    )
  )(params)
  real_BS = batch["packs_BS"] > 0
  np.testing.assert_allclose(
    np.asarray(hidden)[real_BS], encoded[real_BS], atol=1e-5, rtol=0
  )
  # What is written from it is RoBERTa's, with every tensor and its bits, and
  # the same logits.
  again = tmp_path / "again"
  export_model(
    loaded.params,
    loaded.config,
    again,
    architecture=architecture,
    pad_id=0,
    outputs=loaded.outputs,
  )
  auto = getattr(
    transformers, "Roberta" + architecture.removeprefix("Bert")
  ).from_pretrained(again)
  theirs, ours = model.state_dict(), auto.state_dict()
  assert ours.keys() == theirs.keys()
  for key, tensor in theirs.items():
    torch.testing.assert_close(ours[key], tensor, atol=0, rtol=0, msg=key)
  if architecture != MULTIPLE_CHOICE:  # whose inputs have an axis of choices
    with torch.no_grad():
      one, other = (each.eval()(**inputs)[0] for each in (model, auto))
    torch.testing.assert_close(one, other, atol=1e-6, rtol=0)
