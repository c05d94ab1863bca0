# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The whole path from text to export with SentencePiece and byte-level BPE."""

import io
import json

import numpy as np
import pytest
import sentencepiece

from bertjax.config import (
  FinetuneConfig,
  FinetuneOptimizerConfig,
  ObjectiveConfig,
  TaskConfig,
)
from data_pipelines.prepare.options import Options
from data_pipelines.tokenizers import tokenizers
from launch import export, finetune, predict, prepare, pretrain
from tests.testing import corpus, small

TEXT = "the cod sees a pike."
SPECIAL_TOKENS = {
  "unigram": ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
  "bpe": ("<pad>", "<unk>", "<cls>", "<sep>", "<mask>"),
  "albert": ("<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"),
  "roberta": ("<pad>", "<unk>", "<s>", "</s>", "<mask>"),
  "modernbert": ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
}
# What a token that begins a word starts with.
SPACES = {"roberta": "Ġ", "modernbert": "Ġ"}


@pytest.fixture(scope="module")
def text(tmp_path_factory):
  folder = tmp_path_factory.mktemp("text")
  corpus.make_store(folder)
  return folder / "text.txt"


def make_tokenizer(kind, text, folder):
  """Values of --tokenizer: learn a model, or the path of a published one."""
  if kind == "unigram":
    return "sentencepiece", 36
  if kind in tokenizers.KINDS:
    return kind, 36 if kind == "albert" else 300
  model = io.BytesIO()
  sentencepiece.SentencePieceTrainer.train(
    sentence_iterator=iter(text.read_text().split("\n")),
    model_writer=model,
    model_type="bpe",
    vocab_size=60,
    pad_id=0,
    unk_id=3,  # not the id of [UNK] in a new vocabulary
    bos_id=-1,
    eos_id=-1,
    control_symbols=["<cls>", "<sep>", "<mask>"],
    minloglevel=2,
  )
  path = folder / "published.model"
  path.write_bytes(model.getvalue())
  return str(path), 0


@pytest.mark.full
@pytest.mark.parametrize("kind", SPECIAL_TOKENS)
def test_tokens_from_text_to_export(kind, text, tmp_path):
  given, size = make_tokenizer(kind, text, tmp_path)
  prepare.run(
    Options(
      corpus=str(text),
      output=str(tmp_path / "store"),
      documents="blank_line",
      sentences="lines",
      validation="0.2",
      tokenizer=given,
      vocab_size=size,
    )
  )
  config = corpus.make_config(
    str(tmp_path / "store"), objective=ObjectiveConfig(mask_unit="word")
  )
  bundle = pretrain.run(config, str(tmp_path / "run")).bundle
  tokenizer = tokenizers.load(bundle)
  specials = (
    *(tokenizer.pad_id, tokenizer.unk_id, tokenizer.cls_id),
    *(tokenizer.sep_id, tokenizer.mask_id),
  )
  assert (
    tuple(tokenizer.tokens[id_] for id_ in specials) == SPECIAL_TOKENS[kind]
  )
  check_masks(tmp_path / "run")
  (guesses,) = predict.fill_mask(bundle, "the [MASK] sees a pike.", top_k=99)
  assert not set(SPECIAL_TOKENS[kind]) & {guess.text for guess in guesses}
  space = SPACES.get(kind, "▁")
  assert any(guess.text.startswith(space) for guess in guesses)
  check_finetuning(bundle, tmp_path)
  check_export(bundle, tokenizer, tmp_path / "export")


def check_masks(run):
  """Whole words were masked, and each step counts the shortfall."""
  lines = (run / "metrics.jsonl").read_text().splitlines()
  losses = [json.loads(line) for line in lines]
  assert all(np.isfinite(values["mlm_loss"]) for values in losses)
  assert all("mask_shortfall" in v for v in losses if v["split"] == "train")


def check_finetuning(bundle, folder):
  for name, count in (("train", 32), ("dev", 16), ("test", 24)):
    small.write_table(
      folder / f"{name}.jsonl", small.make_texts(count, seed=count)
    )
  results = finetune.run(
    FinetuneConfig(
      # The tiny vocabulary splits most words into letters.
      steps=200,
      batch_size=8,
      evaluation_batch_size=16,
      evaluations=2,
      seq_length=32,
      learning_rates=(3e-3,),
      seeds=1,
      optimizer=FinetuneOptimizerConfig(name="adamw_corrected"),
      task=TaskConfig(
        kind="table",
        train=f"{folder}/train.jsonl",
        dev=f"{folder}/dev.jsonl",
        test=f"{folder}/test.jsonl",
      ),
    ),
    bundle,
    str(folder / "finetuned"),
  )
  assert results.scores.test["accuracy"].mean > 0.9
  ((best, *_),) = predict.answer(
    str(folder / "finetuned" / "model"), ["the cod and a cods by the river."]
  )
  assert best[0] == "fish"


def check_export(bundle, tokenizer, folder):
  transformers = pytest.importorskip("transformers")
  export.run(bundle=bundle, output=folder)
  theirs = transformers.AutoTokenizer.from_pretrained(folder)
  (ids,) = tokenizer.encode([TEXT])
  cls, sep = tokenizer.cls_id, tokenizer.sep_id
  assert theirs(TEXT)["input_ids"] == [cls, *ids.tolist(), sep]
  pair = theirs(TEXT, TEXT)
  assert pair["input_ids"] == tokenizer.template.join(ids, ids).tolist()
  # The encoder has types, and gets those that it was trained with.
  types = pair.get("token_type_ids", [0] * len(pair["input_ids"]))
  assert types == tokenizer.template.types(len(ids), len(ids)).tolist()
  assert theirs.mask_token_id == tokenizer.mask_id
  model, report = transformers.AutoModelForMaskedLM.from_pretrained(
    folder, output_loading_info=True
  )
  assert not report["missing_keys"]
  assert model.config.pad_token_id == tokenizer.pad_id
