# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Published encoders of these shapes: their config.json, with small sizes.

The fields are those of the files on the hub; weights are random, and saved by
transformers.
"""

import json
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest

from bertjax.interop.architectures import ARCHITECTURES, PRETRAINING
from bertjax.interop.huggingface_files import load_model
from tests.testing.examples import ragged

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

SIZES = {
  "hidden_size": 32,
  "intermediate_size": 64,
  "num_attention_heads": 4,
  "num_hidden_layers": 2,
}
COMMON = {
  **SIZES,
  "attention_probs_dropout_prob": 0.1,
  "hidden_act": "gelu",
  "hidden_dropout_prob": 0.1,
  "initializer_range": 0.02,
}
BERT = {
  **COMMON,
  "layer_norm_eps": 1e-12,
  "max_position_embeddings": 512,
  "model_type": "bert",
  "pad_token_id": 0,
  "position_embedding_type": "absolute",
  "type_vocab_size": 2,
  "use_cache": True,
  "vocab_size": 120,
}


class Published(NamedTuple):
  """A published encoder.

  Attributes:
    fields: of its config.json.
    new: parts of pre-training that it lacks.
    labels: what its outputs mean.
  """

  fields: dict[str, Any]
  new: tuple[str, ...] = ()
  labels: tuple[str, ...] = ()


FEELINGS = ("positive", "negative", "neutral")
PUBLISHED = {
  "CodeBERT": Published(
    {
      **COMMON,
      "architectures": ["RobertaModel"],
      "bos_token_id": 0,
      "eos_token_id": 2,
      "layer_norm_eps": 1e-05,
      "max_position_embeddings": 514,
      "model_type": "roberta",
      "output_past": True,
      "pad_token_id": 1,
      "type_vocab_size": 1,
      "vocab_size": 120,
    },
    new=("mlm_head",),
  ),
  "CodeBERT, masked": Published(
    {
      **COMMON,
      "architectures": ["RobertaForMaskedLM"],
      "layer_norm_eps": 1e-05,
      "max_position_embeddings": 514,
      "model_type": "roberta",
      "pad_token_id": 1,
      "type_vocab_size": 1,
      "vocab_size": 120,
    }
  ),
  "BioBERT 1.1": Published(
    {**BERT, "architectures": ["BertModel"], "gradient_checkpointing": False},
    new=("mlm_head", "pair_head"),
  ),
  # Version 1.2 has the head of masked tokens alone.
  "BioBERT 1.2": Published(
    {**BERT, "architectures": ["BertForMaskedLM"]},
    new=("pooler", "pair_head"),
  ),
  "FinBERT": Published(
    {
      **BERT,
      "_name_or_path": "finbertTRC2",
      "architectures": ["BertForSequenceClassification"],
      "gradient_checkpointing": False,
      "id2label": {str(id_): name for id_, name in enumerate(FEELINGS)},
      "label2id": {name: id_ for id_, name in enumerate(FEELINGS)},
    },
    labels=FEELINGS,
  ),
  "E5": Published(
    {
      **BERT,
      "_name_or_path": "tmp/",
      "architectures": ["BertModel"],
      "classifier_dropout": None,
      "torch_dtype": "float32",
      "transformers_version": "4.29.0.dev0",
    },
    new=("mlm_head", "pair_head"),
  ),
  "BGE": Published(
    {
      **BERT,
      "architectures": ["BertModel"],
      "classifier_dropout": None,
      "id2label": {"0": "LABEL_0"},
      "label2id": {"LABEL_0": 0},
      "torch_dtype": "float32",
    },
    new=("mlm_head", "pair_head"),
  ),
}


def make_theirs(fields):
  """Their model, whose numbers tell rows apart."""
  settings = transformers.AutoConfig.for_model(**fields)
  (name,) = fields["architectures"]
  torch.manual_seed(0)
  model = getattr(transformers, name)(settings)
  with torch.no_grad():
    for parameter in model.parameters():
      parameter.add_(0.1 * torch.randn_like(parameter))
  return model.eval()


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_encoder_is_read_and_gives_its_numbers(name, tmp_path):
  published = PUBLISHED[name]
  model = make_theirs(published.fields)
  model.save_pretrained(tmp_path)
  (tmp_path / "config.json").write_text(json.dumps(published.fields))
  loaded = load_model(tmp_path, new=published.new)
  assert loaded.outputs.labels == published.labels
  is_roberta = published.fields["model_type"] == "roberta"
  assert loaded.config.max_positions == 512
  assert loaded.config.position_offset == 2 * is_roberta
  assert loaded.config.type_vocab_size == 2 - is_roberta
  batch = ragged(3, 24)
  if is_roberta:  # whose padding has id 1, and no other token has it
    tokens_BS = np.maximum(batch["tokens_BS"], 2)
    padded_BS = np.where(batch["packs_BS"] > 0, tokens_BS, 1)
    batch = {**batch, "tokens_BS": padded_BS.astype(np.int32)}
  inputs = {
    "input_ids": batch["tokens_BS"],
    "attention_mask": batch["packs_BS"],
    **({} if is_roberta else {"token_type_ids": batch["types_BS"]}),
  }
  encoder = getattr(model, model.base_model_prefix, model)
  with torch.no_grad():
    theirs = encoder(
      **{k: torch.tensor(v, dtype=torch.long) for k, v in inputs.items()}
    ).last_hidden_state.numpy()
  module: Any = ARCHITECTURES[loaded.architecture].make(
    loaded.config, loaded.outputs.size
  )
  params = {"encoder": loaded.params["encoder"]}
  hidden_BSD = jax.jit(
    lambda params: module.apply(
      {"params": params},
      batch,
      method=lambda whole, features: whole.encoder(
        features, deterministic=True
      ),
    )
  )(params)
  real_BS = batch["packs_BS"] > 0
  np.testing.assert_allclose(
    np.asarray(hidden_BSD)[real_BS], theirs[real_BS], atol=1e-5, rtol=0
  )
  if loaded.architecture == PRETRAINING:
    assert {*loaded.params} | {*published.new} == {
      *("encoder", "mlm_head"),
      *(() if is_roberta else ("pooler", "pair_head")),
    }
