# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A fine-tuned model is read back with its head, or refused."""

import jax
import numpy as np
import pytest

from bertjax.finetune.artifact import load_finetuned, save_finetuned
from bertjax.finetune.classification import TASK
from bertjax.finetune.task import Head
from tests.testing import small
from tests.testing.huggingface_models import LABELS, make_params

PARAMS = make_params("BertForSequenceClassification", small.MODEL)
TASKS = {"classification": TASK}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
  return small.make_tokenizer(tmp_path_factory.mktemp("made") / "tokenizer")


def save(folder, tokenizer, **fields):
  head = Head(
    "words", LABELS, pooling="cls", seq_length=12, pair=True, **fields
  )
  save_finetuned(folder, PARAMS, small.MODEL, tokenizer, head, step=30)
  return head


@pytest.mark.parametrize("task", ["classification", ""])
def test_what_was_saved_is_read_back(tmp_path, tokenizer, task):
  """A record without a task has the first task of its architecture."""
  head = save(tmp_path / "model", tokenizer, task=task)
  loaded = load_finetuned(tmp_path / "model", TASKS)
  assert (loaded.head, loaded.task) == (head, TASK)
  jax.tree.map(np.testing.assert_array_equal, loaded.params, PARAMS)
  assert loaded.model.num_classes == len(LABELS)
  vocabulary = (loaded.tokenizer_path / "vocab.txt").read_bytes()
  assert vocabulary == (tokenizer / "vocab.txt").read_bytes()


@pytest.mark.parametrize(
  "fields",
  [{"task": "tagging"}, {"architecture": "BertForTokenClassification"}],
)
def test_a_task_that_is_not_known_is_refused(tmp_path, tokenizer, fields):
  save(tmp_path / "model", tokenizer, **fields)
  with pytest.raises(ValueError, match="known here are classification"):
    load_finetuned(tmp_path / "model", TASKS)


def test_a_pretrained_bundle_is_no_fine_tuned_model(tmp_path):
  path = small.make_bundle(tmp_path / "bundle")
  with pytest.raises(ValueError, match="is not fine-tuned; give WORKDIR/model"):
    load_finetuned(path, TASKS)


def test_a_model_that_is_not_there_is_looked_for_in_a_workdir(tmp_path):
  with pytest.raises(ValueError, match="there is no model at"):
    load_finetuned(tmp_path / "model", TASKS)
