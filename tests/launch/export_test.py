# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What an exported folder has beside the weights."""

import dataclasses
import re
from typing import Any

import jax
import pytest

from bertjax.checkpoints import bundle as bundles
from bertjax.finetune.artifact import save_finetuned
from bertjax.finetune.task import Head
from data_pipelines.tokenizers import tokenizers
from data_pipelines.tokenizers.wordpiece import WordPiece
from launch import export, predict
from tests.testing import small
from tests.testing.huggingface_models import LABELS, make_params

TEXTS = ("the cod, by The River", "É\thill [x] and-ash", "", "oaks the elm.")
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


@pytest.fixture(scope="module")
def place(tmp_path_factory):
  return tmp_path_factory.mktemp("export")


@pytest.fixture(scope="module")
def bundle(place):
  return make_bundle(place / "bundle")


@pytest.fixture(scope="module")
def exported(place, bundle):
  return export.run(bundle=bundle, output=place / "named", license="apache-2.0")


@pytest.fixture(scope="module")
def classifier(place):
  return make_classifier(place / "classifier")


@pytest.fixture(scope="module")
def exported_classifier(place, classifier):
  return export.run(bundle=classifier, output=place / "classifier-hf")


def front_matter(card):
  _, text, _ = card.split("---\n", 2)
  fields = re.findall(r"^(\w+): (.+)$", text, re.MULTILINE)
  return dict(fields), re.findall(r"^- (.+)$", text, re.MULTILINE)


def test_the_card_says_what_the_bundle_knows(exported):
  card = (exported / "README.md").read_text()
  fields, tags = front_matter(card)
  assert fields == {
    "license": "apache-2.0",
    "library_name": "transformers",
    "pipeline_tag": "feature-extraction",
  }
  assert "bert" in tags
  assert "# named\n" in card
  rows = dict(re.findall(r"^- (.+?): (.+)$", card, re.MULTILINE))
  assert rows["corpus"] == "stdlib Python 3.11.7"
  assert rows["sha256 of the prepared text"] == "4efb8f80"
  assert (rows["steps"], rows["tokens read in training"]) == (
    "1,200",
    "4,068,988",
  )
  assert rows["pooler_trained"] == "false"
  assert re.search(r"^\| mlm_loss +\| 5.6204 \|$", card, re.MULTILINE)
  assert "jax " in rows["versions"]
  nested = (exported / "pretraining" / "README.md").read_text()
  assert front_matter(nested)[0]["pipeline_tag"] == "fill-mask"


def test_the_card_of_a_classifier_says_its_labels(exported_classifier):
  card = (exported_classifier / "README.md").read_text()
  assert front_matter(card)[0]["license"] == "unknown"
  assert "classifies texts into 3 labels" in card
  assert "- labels: fish, tree, a | b\n" in card
  assert "| dev accuracy, mean ± std of seeds | 0.5000 ± 0.2500 |" in card


@pytest.mark.parametrize("license_id", ["", "Apache 2.0", "mit\nx: y"])
def test_a_license_that_breaks_the_card_is_refused(
  license_id, bundle, tmp_path
):
  with pytest.raises(
    ValueError, match="is not an identifier; give one that the"
  ):
    export.run(bundle=bundle, output=tmp_path / "out", license=license_id)
  assert not list(tmp_path.iterdir())


def test_a_dtype_that_no_file_gets_is_refused(bundle, tmp_path):
  with pytest.raises(
    ValueError, match="--dtype=int8; give float32 or bfloat16"
  ):
    export.run(bundle=bundle, output=tmp_path / "out", dtype="int8")
  assert not list(tmp_path.iterdir())


def test_weights_that_are_no_export_are_not_replaced(
  exported, bundle, tmp_path
):
  """Such as the directory that a bundle was imported from."""
  (tmp_path / "model.safetensors").write_bytes(b"mine")
  with pytest.raises(ValueError, match="exists and is not an export"):
    export.run(bundle=bundle, output=tmp_path)
  assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]
  again = export.run(bundle=bundle, output=exported)
  assert (again / "README.md").is_file()


def test_a_mean_is_no_class_of_transformers(tmp_path):
  bundle = make_classifier(tmp_path / "mean", pooling="mean")
  with pytest.raises(ValueError, match=r"pooling=mean, which no class of"):
    export.run(bundle=bundle, output=tmp_path / "out")
  assert not (tmp_path / "out").exists()
  assert not (tmp_path / "out.partial").exists()


def snippet(folder):
  (code,) = re.findall(
    r"```python\n(.+?)```", (folder / "README.md").read_text(), re.DOTALL
  )
  return code


def test_the_cards_load_what_they_lie_beside(
  exported, exported_classifier, monkeypatch, capsys
):
  pytest.importorskip("torch")
  pytest.importorskip("transformers")
  for folder in (exported, exported / "pretraining", exported_classifier):
    monkeypatch.chdir(folder)
    names: dict[str, Any] = {}
    exec(snippet(folder), names)
    told = capsys.readouterr().out.strip()
    if folder == exported:
      assert names["hidden"].shape[-1] == small.MODEL.hidden_size
    elif folder == exported_classifier:
      assert told in LABELS
    else:
      assert told in small.PIECES


def test_a_card_of_pairs_reads_pairs(tmp_path, monkeypatch, capsys):
  pytest.importorskip("torch")
  pytest.importorskip("transformers")
  bundle = make_classifier(tmp_path / "pairs", pair=True)
  folder = export.run(bundle=bundle, output=tmp_path / "out")
  monkeypatch.chdir(folder)
  names: dict[str, Any] = {}
  exec(snippet(folder), names)
  assert capsys.readouterr().out.strip() in LABELS
  assert names["inputs"]["token_type_ids"].max() == 1


@pytest.mark.parametrize("lowercase", [True, False])
def test_auto_tokenizer_gives_our_ids(lowercase, exported, bundle, tmp_path):
  transformers = pytest.importorskip("transformers")
  folder = tmp_path / "tokenizer"
  WordPiece((*small.PIECES, "River"), lowercase=lowercase).save(folder)
  info = bundles.read_bundle_info(bundle)
  bundles.write_bundle(
    tmp_path / "bundle", bundles.load_params(info), info.model, folder, DETAILS
  )
  out = export.run(bundle=tmp_path / "bundle", output=tmp_path / "out")
  ours = tokenizers.load(out)
  assert ours.lowercase == lowercase
  for each in (out, out / "pretraining"):
    theirs = transformers.AutoTokenizer.from_pretrained(each)
    for text, ids in zip(TEXTS, ours.encode(TEXTS), strict=True):
      expected = [ours.cls_id, *ids.tolist(), ours.sep_id]
      assert theirs(text)["input_ids"] == expected, text
    assert theirs.mask_token_id == ours.mask_id
    assert theirs.model_max_length == small.MODEL.max_positions


def test_transformers_classifies_as_we_do(classifier, exported_classifier):
  torch = pytest.importorskip("torch")
  transformers = pytest.importorskip("transformers")
  model, report = (
    transformers.AutoModelForSequenceClassification.from_pretrained(
      exported_classifier, output_loading_info=True
    )
  )
  assert not any(report.values()), report
  tokenizer = transformers.AutoTokenizer.from_pretrained(exported_classifier)
  texts = ["the cod by the river.", "an elm and " + "the fir " * 20]
  inputs = tokenizer(texts, truncation=True, padding=True, return_tensors="pt")
  assert inputs["input_ids"].shape == (2, 12)
  with torch.no_grad():
    logits_BC = model.eval()(**inputs).logits.numpy()
  expected = jax.nn.softmax(logits_BC)
  for row, guesses in enumerate(predict.answer(classifier, texts, top_k=9)):
    assert len(guesses) == len(LABELS)
    for guess in guesses:
      theirs = expected[row, model.config.label2id[guess.text]]
      assert guess.probability == pytest.approx(float(theirs), abs=1e-5)


def test_a_classifier_is_handed_on_as_a_bundle_too(classifier, tmp_path):
  path = export.run(
    bundle=classifier, output=tmp_path / "copy", format="bundle"
  )
  ours, theirs = map(bundles.read_bundle_info, (classifier, path))
  assert (ours.leaves, ours.details) == (theirs.leaves, theirs.details)
