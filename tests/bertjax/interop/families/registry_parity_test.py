# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Every class of every family, read from transformers and written back.

The folders are transformers' own. A class is read whole and gives the same
numbers here; what is written from it loads with no name too many or too few,
and has the same bits and the same config.
"""

import dataclasses
from typing import Any

import jax
import numpy as np
import pytest

from bertjax.interop.architectures import (
  ARCHITECTURES,
  CLASSIFICATION,
  ENCODER,
  MASKED_LM,
  MULTIPLE_CHOICE,
  PRETRAINING,
  QUESTION_ANSWERING,
  TOKEN_CLASSIFICATION,
)
from bertjax.interop.families.registry import FAMILIES as NAMES
from bertjax.interop.huggingface_files import export_model, load_model
from tests.testing.examples import PAD, ragged

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
from tests.testing import families  # noqa: E402

LENGTH = 24
LABELS = 3
# Fields that our folders say otherwise: special tokens stand in the
# tokenizer's files, and dropout is on here.
OTHERWISE = {
  *("architectures", "transformers_version", "dtype", "_name_or_path"),
  *("bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id"),
  *("global_attn_every_n_layers", "_attn_implementation", "problem_type"),
}
AUTO = {
  ENCODER: "AutoModel",
  MASKED_LM: "AutoModelForMaskedLM",
  PRETRAINING: "AutoModelForPreTraining",
  CLASSIFICATION: "AutoModelForSequenceClassification",
  TOKEN_CLASSIFICATION: "AutoModelForTokenClassification",
  MULTIPLE_CHOICE: "AutoModelForMultipleChoice",
  QUESTION_ANSWERING: "AutoModelForQuestionAnswering",
}
# Every class of one family, and a class of every family.
SHORT = (MASKED_LM, PRETRAINING)
CASES = [
  pytest.param(
    *(name, architecture),
    marks=()
    if name == "modernbert" or architecture in SHORT
    else pytest.mark.full,
  )
  for name in families.FAMILIES
  for architecture in AUTO
  if architecture != PRETRAINING or name == "albert"
]


def shape_of(name, architecture):
  config = families.FAMILIES[name].config
  if name == "albert":
    return dataclasses.replace(config, pooler=architecture != MASKED_LM)
  return config


def saved(name, architecture, folder):
  """A model of transformers with random weights, and its folder."""
  classes = architecture in (CLASSIFICATION, TOKEN_CLASSIFICATION)
  more = {"num_labels": LABELS} if classes else {}
  model = families.make_theirs(
    families.FAMILIES[name],
    shape_of(name, architecture),
    architecture=architecture,
    **more,
  )
  model.save_pretrained(folder)
  return model


def parts_to_make(name, architecture):
  """The parts that a base class lacks of pre-training."""
  if architecture != ENCODER:
    return ()
  return ("mlm_head", "pair_head") if name == "albert" else ("mlm_head",)


def inputs_of(name, batch):
  names = {"input_ids": "tokens_BS", "attention_mask": "packs_BS"}
  if families.FAMILIES[name].with_types:
    names["token_type_ids"] = "types_BS"
  return {
    theirs: torch.tensor(batch[ours], dtype=torch.long)
    for theirs, ours in names.items()
  }


def without_dropout(config):
  return dataclasses.replace(
    config, hidden_dropout_rate=0.0, attention_dropout_rate=0.0
  )


def ours_of(loaded, batch):
  """Our outputs by the names of theirs."""
  module = ARCHITECTURES[loaded.architecture].make(
    loaded.config, loaded.outputs.size
  )
  every_BP = np.tile(np.arange(LENGTH, dtype=np.int32), (4, 1))
  more = (every_BP,) if loaded.architecture == PRETRAINING else ()
  names = {
    "mlm_logits_BPV": "logits",
    "logits_BSC": "logits",
    "logits_BRC": "pooled_logits",
    "start_logits_BS": "start_logits",
    "end_logits_BS": "end_logits",
    "pair_logits_BRC": "sop_logits",
  }
  outputs: Any = jax.jit(
    lambda params: module.apply(
      {"params": params}, batch, *more, deterministic=True
    )
  )(loaded.params)
  return {names[name]: np.asarray(array) for name, array in outputs.items()}


def check_numbers(name, architecture, model, loaded):
  batch = ragged(4, LENGTH)
  real_BS = batch["packs_BS"] > 0
  inputs = inputs_of(name, batch)
  if architecture == MULTIPLE_CHOICE:  # of two choices each
    inputs = {key: each.view(2, 2, LENGTH) for key, each in inputs.items()}
  with torch.no_grad():
    theirs: Any = model(**inputs)
  if architecture in (CLASSIFICATION, MULTIPLE_CHOICE):
    theirs = {"pooled_logits": theirs.logits.view(4, -1)}
  if architecture == PRETRAINING:
    theirs = {"logits": theirs.prediction_logits, "sop_logits": theirs[1]}
  ours = ours_of(loaded, batch)
  for output, array in ours.items():
    if output not in theirs:
      continue  # a head that was made anew
    if output in ("sop_logits", "pooled_logits"):
      left, right = array[:, 0], theirs[output].numpy()
    else:
      left, right = array[real_BS], theirs[output].numpy()[real_BS]
    np.testing.assert_allclose(left, right, atol=1e-5, rtol=0, err_msg=output)
    assert right.std() > 0.01  # weights that tell rows apart


@pytest.mark.parametrize(("name", "architecture"), CASES)
def test_a_class_is_read_and_written_whole(name, architecture, tmp_path):
  model = saved(name, architecture, tmp_path / "theirs")
  loaded = load_model(
    tmp_path / "theirs", new=parts_to_make(name, architecture)
  )
  expected = PRETRAINING if architecture in (ENCODER, MASKED_LM) else None
  assert loaded.architecture == (expected or architecture)
  config = shape_of(name, architecture)
  assert without_dropout(loaded.config) == without_dropout(config)
  if architecture != ENCODER:
    check_numbers(name, architecture, model, loaded)
  params = dict(loaded.params)
  if (name, architecture) == ("roberta", ENCODER):
    # Its base class has a pooler that nothing of pre-training reads.
    kernel_DD = np.eye(config.hidden_size, dtype=np.float32)
    params["pooler"] = {"dense": {"kernel": kernel_DD, "bias": kernel_DD[0]}}
  export_model(
    params,
    loaded.config,
    tmp_path / "ours",
    architecture=ENCODER if architecture == ENCODER else loaded.architecture,
    pad_id=PAD,
    outputs=loaded.outputs,
  )
  back, report = getattr(transformers, AUTO[architecture]).from_pretrained(
    tmp_path / "ours", output_loading_info=True
  )
  assert not any(report.values()), report
  assert type(back).__name__ == NAMES[name].classes[architecture]
  ours, theirs = back.state_dict(), model.state_dict()
  assert ours.keys() == theirs.keys()
  for tensor in theirs:
    if not (name == "roberta" and tensor.startswith("pooler.")):
      torch.testing.assert_close(
        ours[tensor], theirs[tensor], atol=0, rtol=0, msg=tensor
      )
  before, after = model.config.to_dict(), back.config.to_dict()
  differ = {key for key in before if before[key] != after.get(key)}
  # The rates of heads are those that we train with, and imports tell of others.
  assert differ <= OTHERWISE | {*NAMES[name].head_rates}
