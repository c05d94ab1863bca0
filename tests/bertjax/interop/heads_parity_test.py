# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The heads of fine-tuning in transformers' PyTorch classes: same logits."""

from typing import Any

import jax
import numpy as np
import pytest

from bertjax.interop.architectures import ARCHITECTURES
from bertjax.interop.huggingface_files import export_model, load_model
from bertjax.interop.outputs import Outputs
from tests.testing.examples import SMALL, ragged
from tests.testing.huggingface_models import LABELS, make_params

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
# Heads by class of transformers, with what their outputs mean.
HEADS = [
  *(
    ("BertForSequenceClassification", outputs)
    for outputs in (
      Outputs(LABELS, "single_label_classification"),
      Outputs(LABELS, "multi_label_classification"),
      Outputs((), "regression"),
    )
  ),
  ("BertForTokenClassification", Outputs(LABELS)),
  ("BertForQuestionAnswering", Outputs()),
  ("BertForMultipleChoice", Outputs()),
]


def by_their_names(ours: dict[str, Any]) -> dict[str, Any]:
  """Return our logits by the names of theirs."""
  return {name.rpartition("_")[0]: logits for name, logits in ours.items()}


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


@pytest.mark.parametrize(("architecture", "outputs"), HEADS)
def test_a_head_is_loaded_whole_and_gives_the_same_logits(
  architecture, outputs, tmp_path
):
  params = make_params(architecture, outputs=outputs)
  export_model(
    params,
    SMALL,
    tmp_path,
    architecture=architecture,
    pad_id=0,
    outputs=outputs,
  )
  loaded = load_model(tmp_path)
  assert (loaded.architecture, loaded.outputs) == (architecture, outputs)
  jax.tree.map(np.testing.assert_array_equal, params, loaded.params)
  model, report = getattr(transformers, architecture).from_pretrained(
    tmp_path, output_loading_info=True
  )
  assert not any(report.values()), report
  if outputs.labels:
    assert tuple(model.config.id2label.values()) == outputs.labels
    ids = {name: id_ for id_, name in enumerate(outputs.labels)}
    assert model.config.label2id == ids
  assert (model.config.problem_type or "") == outputs.problem_type
  batch = ragged(6, 24)
  module = ARCHITECTURES[architecture].make(SMALL, outputs.size)
  ours: Any = jax.jit(
    lambda params: module.apply({"params": params}, batch, deterministic=True)
  )(params)
  inputs = inputs_of(batch)
  if architecture == "BertForMultipleChoice":  # three questions of two choices
    inputs = {name: each.view(3, 2, 24) for name, each in inputs.items()}
  with torch.no_grad():
    theirs = model.eval()(**inputs)
  for name, logits in by_their_names(ours).items():
    assert logits.dtype == np.float32
    expected = theirs[name].numpy()
    if "Sequence" in architecture or "Choice" in architecture:
      logits, expected = np.reshape(logits, (6, -1)), expected.reshape(6, -1)
    else:
      real_BS = batch["packs_BS"] > 0
      logits, expected = np.asarray(logits)[real_BS], expected[real_BS]
    np.testing.assert_allclose(logits, expected, atol=1e-5, rtol=0)
    assert expected.std() > 0.1  # weights that tell rows apart


def test_transformers_takes_the_loss_of_the_problem(tmp_path):
  """A multi-label head is one of independent labels, a regressor of a score."""
  for outputs, labels in (
    (Outputs(LABELS, "multi_label_classification"), torch.ones(6, 3)),
    (Outputs((), "regression"), torch.ones(6)),
  ):
    params = make_params("BertForSequenceClassification", outputs=outputs)
    export_model(
      params,
      SMALL,
      tmp_path,
      architecture="BertForSequenceClassification",
      pad_id=0,
      outputs=outputs,
    )
    model = transformers.AutoModelForSequenceClassification.from_pretrained(
      tmp_path
    ).eval()
    result = model(**inputs_of(ragged(6, 24)), labels=labels)
    logits = result.logits.detach().numpy()
    if outputs.labels:
      expected = np.mean(np.log1p(np.exp(-logits)))
    else:
      expected = np.mean((logits - 1) ** 2)
    assert result.loss.item() == pytest.approx(float(expected), rel=1e-5)


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
    outputs=loaded.outputs,
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
