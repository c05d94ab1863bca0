# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Every family with its tokenizer: to a folder, back, and on from there."""

import dataclasses
import json

import numpy as np
import pytest

from bertjax.checkpoints import bundle as bundles
from bertjax.config import (
  CheckpointConfig,
  EvaluationConfig,
  ObjectiveConfig,
  TaskConfig,
)
from bertjax.finetune.artifact import load_finetuned
from bertjax.finetune.task import Head
from bertjax.interop.families.registry import FAMILIES
from data_pipelines.tokenizers import tokenizers
from launch import export, finetune, import_weights, predict, pretrain
from launch.exports.formats import Options
from launch.tasks import TASKS
from tests.testing import corpus, small, small_stores
from tests.testing.choices import CONFIGS
from tests.testing.family_bundles import make_bundle
from tests.testing.finetuned import TWO_STEPS
from tests.testing.huggingface_models import LABELS
from tests.testing.metaspace_models import write_fairseq

TEXT = "the cod by the river"
# BERT has a file of its own, and the long tier has the others.
SHORT = ("roberta", "modernbert")
NAMES = [
  pytest.param(name, marks=() if name in SHORT else pytest.mark.full)
  for name in FAMILIES
]


@pytest.mark.parametrize("name", NAMES)
def test_a_family_goes_there_and_back_with_its_tokenizer(name, tmp_path):
  bundle = make_bundle(name, tmp_path)
  folder = export.run(bundle=bundle, output=tmp_path / "hf")
  config = json.loads((folder / "config.json").read_text())
  assert config["model_type"] == name
  path = import_weights.run(source=folder, output=tmp_path / "back")
  ours, theirs = map(bundles.read_bundle_info, (bundle, path))
  assert ours.leaves == theirs.leaves  # the digests of every bit
  assert ours.model == theirs.model
  one, other = (
    tokenizers.load(info.tokenizer_path).sha256 for info in (ours, theirs)
  )
  assert one == other
  again = export.run(bundle=path, output=tmp_path / "again")
  for file in ("model.safetensors", "config.json", "tokenizer.json"):
    one, other = (root / file for root in (folder, again))
    assert one.read_bytes() == other.read_bytes(), file


@pytest.mark.parametrize("name", NAMES)
def test_transformers_fills_masks_as_we_do(name, tmp_path):
  torch = pytest.importorskip("torch")
  transformers = pytest.importorskip("transformers")
  bundle = make_bundle(name, tmp_path)
  folder = export.run(bundle=bundle, output=tmp_path / "hf")
  auto = transformers.AutoModelForMaskedLM
  model, report = auto.from_pretrained(folder, output_loading_info=True)
  if FAMILIES[name].has_pooler and CONFIGS[name].pooler:
    report.pop("unexpected_keys")  # the pooler and the head of pairs
  assert not any(report.values()), report
  tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
  text = f"{TEXT} {tokenizer.mask_token}"
  inputs = tokenizer(text, return_tensors="pt")
  masked = inputs["input_ids"] == tokenizer.mask_token_id
  with torch.no_grad():
    chances = model.eval()(**inputs).logits[masked].softmax(-1)[0].numpy()
  (ours,) = predict.fill_mask(str(bundle), text, top_k=3)
  names = tokenizers.load(bundle / "tokenizer").tokens
  # Ours are over the tokens that can be meant.
  expected = np.array([chances[names.index(guess.text)] for guess in ours])
  found = np.array([guess.probability for guess in ours])
  np.testing.assert_allclose(
    found / found[0], expected / expected[0], rtol=1e-4
  )


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_of_vectors_has_the_base_class_whole(name, tmp_path):
  """With a pooler where the class has one, whether the model has it or not."""
  pytest.importorskip("torch")
  transformers = pytest.importorskip("transformers")
  folder = export.run(
    bundle=make_bundle(name, tmp_path),
    output=tmp_path / "vectors",
    format="sentence_transformers",
    options=Options(pooling="mean"),
  )
  model, report = transformers.AutoModel.from_pretrained(
    folder, output_loading_info=True
  )
  assert not any(report.values()), report
  assert (getattr(model, "pooler", None) is not None) == (
    FAMILIES[name].has_pooler
  )
  title = FAMILIES[name].title
  assert f" {title} encoder that gives" in (folder / "README.md").read_text()


@pytest.mark.parametrize(
  "pooling", [pytest.param("cls", marks=pytest.mark.full), "mean"]
)
def test_modernbert_averages_where_its_config_says_so(pooling, tmp_path):
  pytest.importorskip("torch")
  transformers = pytest.importorskip("transformers")
  head = Head("words", LABELS, pooling, seq_length=64, pair=False)
  bundle = make_bundle("modernbert", tmp_path, head)
  folder = export.run(bundle=bundle, output=tmp_path / "hf")
  config = json.loads((folder / "config.json").read_text())
  assert config["classifier_pooling"] == pooling
  pipeline = transformers.pipeline("text-classification", model=str(folder))
  theirs = {x["label"]: x["score"] for x in pipeline(TEXT, top_k=9)}
  (folder / "bertjax.json").unlink()
  back = import_weights.run(source=folder, output=tmp_path / "back")
  assert load_finetuned(back, TASKS).head.pooling == pooling
  for path in (bundle, back):
    for answer in predict.answer(str(path), [TEXT], top_k=9)[0]:
      assert theirs[answer[0]] == pytest.approx(answer[1], abs=1e-5)


@pytest.mark.full
@pytest.mark.parametrize(
  "name", ["roberta", "distilbert", "albert", "modernbert"]
)
def test_a_fine_tuned_family_is_its_class(name, tmp_path):
  pytest.importorskip("torch")
  transformers = pytest.importorskip("transformers")
  config = dataclasses.replace(
    TWO_STEPS,
    task=TaskConfig(
      kind="table",
      train=small.write_table(tmp_path / "t.jsonl", small.make_texts(40, 0)),
    ),
  )
  finetune.run(config, str(make_bundle(name, tmp_path)), str(tmp_path / "run"))
  model = tmp_path / "run" / "model"
  folder = export.run(bundle=model, output=tmp_path / "hf")
  pipeline = transformers.pipeline("text-classification", model=str(folder))
  start = FAMILIES[name].classes["BertModel"].removesuffix("Model")
  assert type(pipeline.model).__name__ == f"{start}ForSequenceClassification"
  theirs = {x["label"]: x["score"] for x in pipeline(TEXT, top_k=9)}
  for answer in predict.answer(str(model), [TEXT], top_k=9)[0]:
    assert theirs[answer[0]] == pytest.approx(answer[1], abs=1e-5)


@pytest.mark.parametrize(
  "name",
  [
    pytest.param(name, marks=() if name == "distilbert" else pytest.mark.full)
    for name in FAMILIES
  ],
)
def test_pre_training_goes_on_from_a_folder_of_transformers(
  name, tmp_path, one_device
):
  """With its tokenizer, two steps away from the weights in the folder."""
  pytest.importorskip("torch")
  transformers = pytest.importorskip("transformers")
  del one_device
  first = export.run(bundle=make_bundle(name, tmp_path), output=tmp_path / "a")
  whole = getattr(transformers, FAMILIES[name].classes["BertForPreTraining"])
  # Written by transformers itself.
  whole.from_pretrained(first).save_pretrained(tmp_path / "hf")
  tokenizers.load(tmp_path / "tokenizer").save(tmp_path / "hf")
  model = transformers.AutoModelForMaskedLM.from_pretrained(tmp_path / "hf")
  parent = import_weights.run(source=tmp_path / "hf", output=tmp_path / "made")
  info = bundles.read_bundle_info(parent)
  config = corpus.make_config(
    small_stores.make_store(tmp_path, str(parent), "0.1"),
    steps=2,
    model=dataclasses.replace(info.model, vocab_size=0),
    objective=ObjectiveConfig(
      next_sentence="off", input_format="full_sentences"
    ),
    init_from=str(parent),
    checkpoint=CheckpointConfig(every_steps=2),
    evaluation=EvaluationConfig(every_steps=0),
  )
  made = pretrain.run(config, str(tmp_path / "run")).bundle
  trained = bundles.read_bundle_info(made)
  assert trained.model == info.model
  folder = export.run(bundle=made, output=tmp_path / "on")
  back = transformers.AutoModelForMaskedLM.from_pretrained(folder)
  assert back.config.vocab_size == model.config.vocab_size
  moved = [
    (ours - theirs).abs().max().item()
    for ours, theirs in zip(back.parameters(), model.parameters(), strict=True)
  ]
  assert 0 < max(moved) < 0.1


@pytest.mark.full
def test_xlm_r_comes_with_its_tokenizer_and_goes_as_a_roberta(tmp_path):
  transformers = pytest.importorskip("transformers")
  pytest.importorskip("torch")
  source = write_fairseq(tmp_path / "theirs", "xlm-roberta")
  theirs = transformers.XLMRobertaTokenizer.from_pretrained(source)
  config = transformers.XLMRobertaConfig(
    num_hidden_layers=2,
    hidden_size=16,
    num_attention_heads=2,
    intermediate_size=24,
    vocab_size=len(theirs),
    max_position_embeddings=42,
    type_vocab_size=1,
  )
  model = transformers.XLMRobertaForSequenceClassification(config).eval()
  model.save_pretrained(source)
  bundle = import_weights.run(source=source, output=tmp_path / "bundle")
  out = export.run(bundle=bundle, output=tmp_path / "out")
  auto = transformers.AutoModelForSequenceClassification
  again, report = auto.from_pretrained(out, output_loading_info=True)
  assert not any(report.values()), report
  tokenizer = transformers.AutoTokenizer.from_pretrained(out)
  inputs = theirs(TEXT, return_tensors="pt")
  found = tokenizer(TEXT, return_tensors="pt")
  assert found["input_ids"].tolist() == inputs["input_ids"].tolist()
  one, other = (
    each.eval()(**inputs).logits.detach().numpy() for each in (model, again)
  )
  np.testing.assert_allclose(one, other, atol=1e-6, rtol=0)
