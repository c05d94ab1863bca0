# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The heads of fine-tuning in transformers' PyTorch classes: same logits."""

from typing import Any

import jax
import numpy as np
import pytest

from bertjax.interop.architectures import ARCHITECTURES
from bertjax.interop.huggingface_files import export_model, load_model
from tests.testing.examples import SMALL, ragged
from tests.testing.huggingface_models import labels_of, make_params

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
# Our logits by the names of theirs.
HEADS = {
  "BertForSequenceClassification": lambda outputs: {
    "logits": outputs["logits_BRC"][:, 0]
  },
  "BertForTokenClassification": lambda outputs: {
    "logits": outputs["logits_BSC"]
  },
  "BertForQuestionAnswering": lambda outputs: {
    "start_logits": outputs["start_logits_BS"],
    "end_logits": outputs["end_logits_BS"],
  },
}


def inputs_of(batch):
  names = {
    "input_ids": "tokens_BS",
    "token_type_ids": "types_BS",
    "attention_mask": "packs_BS",
  }
  return {
    theirs: torch.tensor(batch[ours], dtype=torch.long)
    for theirs, ours in names.items()
  }


@pytest.mark.parametrize("architecture", HEADS)
def test_a_head_is_loaded_whole_and_gives_the_same_logits(
  architecture, tmp_path
):
  params, labels = make_params(architecture), labels_of(architecture)
  export_model(
    params, SMALL, tmp_path, architecture=architecture, pad_id=0, labels=labels
  )
  model, report = getattr(transformers, architecture).from_pretrained(
    tmp_path, output_loading_info=True
  )
  assert not any(report.values()), report
  if labels:
    assert tuple(model.config.id2label.values()) == labels
    assert model.config.label2id == {name: i for i, name in enumerate(labels)}
  batch = ragged(6, 24)
  module = ARCHITECTURES[architecture].make(SMALL, len(labels))
  ours: Any = jax.jit(
    lambda params: module.apply({"params": params}, batch, deterministic=True)
  )(params)
  with torch.no_grad():
    theirs = model.eval()(**inputs_of(batch))
  real_BS = batch["packs_BS"] > 0
  for name, logits in HEADS[architecture](ours).items():
    assert logits.dtype == np.float32
    whole = architecture == "BertForSequenceClassification"
    where = ... if whole else real_BS
    expected = theirs[name].numpy()
    np.testing.assert_allclose(
      np.asarray(logits)[where], expected[where], atol=1e-5, rtol=0
    )
    assert expected.std() > 0.1  # weights that tell rows apart


@pytest.mark.parametrize(
  ("architecture", "dtype"),
  [
    *((name, "float32") for name in ARCHITECTURES),
    ("BertForPreTraining", "bfloat16"),
    ("BertForTokenClassification", "float16"),
  ],
)
def test_what_transformers_saves_is_read_bit_by_bit(
  architecture, dtype, tmp_path
):
  settings = {
    "num_hidden_layers": 2,
    "hidden_size": 32,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "vocab_size": 120,
    "max_position_embeddings": 64,
    "num_labels": 2 if architecture == "BertForQuestionAnswering" else 3,
  }
  torch.manual_seed(0)
  config = transformers.BertConfig(**settings)
  model = getattr(transformers, architecture)(config)
  with torch.no_grad():
    for parameter in model.parameters():
      # Biases and norms start equal, where a mistake does not show.
      parameter.add_(0.1 * torch.randn_like(parameter))
  model.to(getattr(torch, dtype)).save_pretrained(tmp_path)
  lacking = {
    "BertModel": ("mlm_head", "pair_head"),
    "BertForMaskedLM": ("pooler", "pair_head"),
    "BertForNextSentencePrediction": ("mlm_head",),
  }.get(architecture, ())
  loaded = load_model(tmp_path, new=lacking)
  again = tmp_path / "again"
  export_model(
    loaded.params,
    loaded.config,
    again,
    architecture=architecture,
    pad_id=0,
    labels=loaded.labels,
    dtype=dtype,
  )
  back, report = getattr(transformers, architecture).from_pretrained(
    again, output_loading_info=True
  )
  assert not any(report.values()), report
  theirs = model.state_dict()
  ours = back.state_dict()
  assert ours.keys() == theirs.keys()
  for name, tensor in theirs.items():
    assert ours[name].dtype == tensor.dtype, name
    torch.testing.assert_close(ours[name], tensor, atol=0, rtol=0, msg=name)
