# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Encoders of transformers learn here, and go back to their own classes."""

import dataclasses
import json

import pytest

from bertjax.checkpoints import bundle as bundles
from bertjax.config import (
  CheckpointConfig,
  EvaluationConfig,
  ObjectiveConfig,
  TaskConfig,
)
from configs.families import FAMILIES
from data_pipelines.tokenizers import tokenizers
from launch import export, finetune, import_weights, pretrain
from tests.testing import corpus, small, small_stores, squad_files
from tests.testing.family_bundles import make_bundle
from tests.testing.finetuned import TWO_STEPS
from tests.testing.metaspace_models import write_gemma

pytestmark = pytest.mark.full
TEXTS = small.make_texts(40, 0)


@pytest.fixture(scope="module")
def transformers():
  pytest.importorskip("torch")
  return pytest.importorskip("transformers")


def write_words(folder):
  """Write the words of texts with a tag each, in columns."""
  tag = lambda word: "B-a" if word in ("the", "a") else "O"
  path = folder / "words"
  path.write_text(
    "\n".join(
      "".join(f"{word} {tag(word)}\n" for word in text.rstrip(".").split())
      for text, _ in TEXTS
    )
  )
  return TaskConfig(kind="conll", train=str(path))


def write_questions(folder):
  asked = [(text, [("the", text.split()[1])]) for text, _ in TEXTS]
  train = squad_files.write(folder / "squad.json", *asked)
  return TaskConfig(kind="squad", train=train, max_question_length=8, stride=16)


def write_table(folder, **fields):
  rows = [
    {
      "text": text,
      "kind": label,
      "kinds": f"{label},odd" if i % 2 else label,
      "score": i % 4 + 0.5,
      "fish": "the fish",
      "tree": "the tree",
      "which": int(label == "tree"),
    }
    for i, (text, label) in enumerate(TEXTS)
  ]
  path = folder / "table.jsonl"
  path.write_text("".join(json.dumps(row) + "\n" for row in rows))
  return TaskConfig(kind="table", train=str(path), **fields)


# The task, and the end of the class that it becomes.
TASKS = {
  "words": (write_words, "TokenClassification"),
  "answers": (write_questions, "QuestionAnswering"),
  "labels": (
    lambda folder: write_table(folder, target="labels", label="kinds"),
    "SequenceClassification",
  ),
  "scores": (
    lambda folder: write_table(folder, target="score", label="score"),
    "SequenceClassification",
  ),
  "choices": (
    lambda folder: write_table(
      folder,
      target="choice",
      label="which",
      choices="fish,tree",
      num_choices=2,
    ),
    "MultipleChoice",
  ),
}


def largest_change(before, after):
  assert after.keys() == before.keys()
  return max((after[n] - before[n]).abs().max().item() for n in before)


@pytest.mark.usefixtures("small_programs")
@pytest.mark.parametrize(
  ("family", "kind"),
  [
    *(("roberta", kind) for kind in ("words", "answers")),
    *(("modernbert", kind) for kind in ("labels", "scores", "choices")),
  ],
)
def test_an_imported_encoder_learns_every_kind_of_task(
  family, kind, transformers, tmp_path
):
  """From a folder that transformers wrote to one that it reads."""
  first = export.run(
    bundle=make_bundle(family, tmp_path), output=tmp_path / "a"
  )
  model = transformers.AutoModelForMaskedLM.from_pretrained(first)
  model.save_pretrained(tmp_path / "hf")
  tokenizers.load(tmp_path / "tokenizer").save(tmp_path / "hf")
  parent = import_weights.run(source=tmp_path / "hf", output=tmp_path / "made")
  write, name = TASKS[kind]
  config = dataclasses.replace(TWO_STEPS, task=write(tmp_path))
  finetune.run(config, str(parent), str(tmp_path / "run"))
  folder = export.run(
    bundle=tmp_path / "run" / "model", output=tmp_path / "out"
  )
  auto = getattr(transformers, f"AutoModelFor{name}")
  back, report = auto.from_pretrained(folder, output_loading_info=True)
  assert not any(report.values()), report
  start = type(model).__name__.removesuffix("ForMaskedLM")
  assert type(back).__name__ == f"{start}For{name}"
  meant = {
    "labels": "multi_label_classification",
    "scores": "regression",
  }
  assert back.config.problem_type == meant.get(kind)
  before, after = (each.base_model.state_dict() for each in (model, back))
  assert 0 < largest_change(before, after) < 0.1


def test_an_mmbert_of_transformers_is_trained_further(
  transformers, tmp_path, one_device
):
  """With Gemma's tokenizer and one base for all layers, as its overlay has."""
  del one_device
  source = tmp_path / "hf"
  vocab_size = write_gemma(source).get_vocab_size()
  family = FAMILIES["modernbert"]
  bases = {
    name: {**family.choices, **family.sizes["mmbert_small"]}[name]
    for name in ("rotary_base", "rotary_local_base")
  }
  base = bases["rotary_base"]
  special = dict(pad_token_id=0, bos_token_id=2, eos_token_id=1)
  model = transformers.ModernBertForMaskedLM(
    transformers.ModernBertConfig(
      vocab_size=vocab_size,
      hidden_size=16,
      num_hidden_layers=4,
      num_attention_heads=2,
      intermediate_size=24,
      max_position_embeddings=64,
      local_attention=8,
      rope_parameters={
        kind: {"rope_type": "default", "rope_theta": base}
        for kind in ("full_attention", "sliding_attention")
      },
      **special,
      cls_token_id=special["bos_token_id"],
      sep_token_id=special["eos_token_id"],
    )
  )
  model.save_pretrained(source)
  parent = import_weights.run(source=source, output=tmp_path / "made")
  info = bundles.read_bundle_info(parent)
  assert {name: vars(info.model)[name] for name in bases} == bases
  config = corpus.make_config(
    small_stores.make_store(tmp_path, str(parent), "0.1"),
    steps=4,
    model=dataclasses.replace(info.model, vocab_size=0),
    objective=ObjectiveConfig(
      **{
        name.removeprefix("objective."): value
        for name, value in family.objective.items()
      }
    ),
    init_from=str(parent),
    checkpoint=CheckpointConfig(every_steps=4),
    evaluation=EvaluationConfig(every_steps=0),
  )
  made = pretrain.run(config, str(tmp_path / "run")).bundle
  assert bundles.read_bundle_info(made).model == info.model
  folder = export.run(bundle=made, output=tmp_path / "on")
  auto = transformers.AutoModelForMaskedLM
  back, report = auto.from_pretrained(folder, output_loading_info=True)
  assert not any(report.values()), report
  assert back.config.rope_parameters == model.config.rope_parameters
  assert 0 < largest_change(model.state_dict(), back.state_dict()) < 0.1
  theirs = transformers.AutoTokenizer.from_pretrained(folder)
  ours = transformers.AutoTokenizer.from_pretrained(source)
  text = "the cod by the river"
  assert theirs(text)["input_ids"] == ours(text)["input_ids"]
