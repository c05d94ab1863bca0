# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Bundles with random weights, and what the card of their export loads."""

import dataclasses
import re

from bertjax.checkpoints import bundle as bundles
from bertjax.finetune.artifact import save_finetuned
from bertjax.finetune.task import Head
from tests.testing import small
from tests.testing.huggingface_models import LABELS, make_params

DETAILS = bundles.Details(
  pooler_trained=False,
  step=1200,
  tokens=4_068_988,
  evaluation={"mlm_loss": 5.62038, "nsp_accuracy": 0.773},
  store_sha256="4efb8f80",
  corpus={"stdlib": "Python 3.11.7"},
)


def make_bundle(folder, **details):
  """Write a pre-trained bundle with random weights; return its path."""
  bundles.write_bundle(
    folder,
    make_params("BertForPreTraining", small.MODEL),
    small.MODEL,
    small.make_tokenizer(folder.with_name(folder.name + "-tokenizer")),
    dataclasses.replace(DETAILS, **details),
  )
  return str(folder)


def make_classifier(folder, *, pooling="cls", pair=False):
  """Write a classifier with random weights; return its path."""
  params = make_params("BertForSequenceClassification", small.MODEL)
  if pooling == "mean":
    del params["pooler"]
  save_finetuned(
    folder,
    params,
    small.MODEL,
    small.make_tokenizer(folder.with_name(folder.name + "-tokenizer")),
    Head("words", LABELS, pooling, seq_length=12, pair=pair),
    step=30,
    evaluation={"dev": {"accuracy": {"mean": 0.5, "std": 0.25}}},
  )
  return str(folder)


# A head of each kind that fine-tuning makes, by a name.
HEADS = {
  "single_label": Head(
    *("words", LABELS, "cls", 12, False),
    task="classification",
    temperature=1.25,
  ),
  "multi_label": Head(
    *("words", LABELS, "cls", 12, False),
    problem_type="multi_label_classification",
  ),
  "score": Head("words", (), "cls", 12, True, problem_type="regression"),
  "tokens": Head("words", LABELS, "", 12, False, "BertForTokenClassification"),
  "answers": Head(
    *("words", (), "", 12, True, "BertForQuestionAnswering"),
    settings={"stride": 4, "null_threshold": -1.5},
  ),
  "choice": Head("words", (), "cls", 12, True, "BertForMultipleChoice"),
}


def make_head(folder, name, **details):
  """Write a fine-tuned bundle with a head of HEADS; return its path."""
  head = HEADS[name]
  save_finetuned(
    folder,
    make_params(head.architecture, small.MODEL, head.outputs),
    small.MODEL,
    small.make_tokenizer(folder.with_name(folder.name + "-tokenizer")),
    head,
    step=30,
    **details,
  )
  return str(folder)


def snippet(folder):
  (code,) = re.findall(
    r"```python\n(.+?)```", (folder / "README.md").read_text(), re.DOTALL
  )
  return code
