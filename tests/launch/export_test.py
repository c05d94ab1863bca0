# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What an exported folder has beside the weights."""

import dataclasses
import json

import jax
import pytest

from bertjax.checkpoints import bundle as bundles
from data_pipelines.tokenizers import tokenizers
from data_pipelines.tokenizers.wordpiece import WordPiece
from launch import export, predict
from tests.testing import small
from tests.testing.exports import DETAILS, make_classifier
from tests.testing.huggingface_models import LABELS

TEXTS = ("the cod, by The River", "É\thill [x] and-ash", "", "oaks the elm.")


def test_a_dtype_that_no_file_gets_is_refused(bundle, tmp_path):
  with pytest.raises(
    ValueError, match="--dtype=int8; give float32 or bfloat16"
  ):
    export.run(
      bundle=bundle,
      output=tmp_path / "out",
      huggingface=export.HuggingFace(dtype="int8"),
    )
  assert not list(tmp_path.iterdir())


def test_weights_that_are_no_export_are_not_replaced(
  exported, bundle, tmp_path
):
  """Such as the directory that a bundle was imported from."""
  (tmp_path / "model.safetensors").write_bytes(b"mine")
  with pytest.raises(ValueError, match="exists and is not an export"):
    export.run(bundle=bundle, output=tmp_path)
  assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]
  again = export.run(
    bundle=bundle, output=exported, huggingface=export.HuggingFace("apache-2.0")
  )
  assert (again / "README.md").is_file()


def test_a_mean_is_no_class_of_transformers(tmp_path):
  bundle = make_classifier(tmp_path / "mean", pooling="mean")
  with pytest.raises(ValueError, match=r"pooling=mean, which no class of"):
    export.run(bundle=bundle, output=tmp_path / "out")
  assert not (tmp_path / "out").exists()
  assert not (tmp_path / "out.partial").exists()


@pytest.mark.parametrize("lowercase", [True, False])
def test_auto_tokenizer_gives_our_ids(lowercase, exported, bundle, tmp_path):
  transformers = pytest.importorskip("transformers")
  folder = tmp_path / "tokenizer"
  WordPiece((*small.TOKENS, "River"), lowercase=lowercase).save(folder)
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
      theirs = expected[row, model.config.label2id[guess[0]]]
      assert guess[1] == pytest.approx(float(theirs), abs=1e-5)


def test_a_classifier_is_handed_on_as_a_bundle_too(classifier, tmp_path):
  path = export.run(
    bundle=classifier, output=tmp_path / "copy", format="bundle"
  )
  ours, theirs = map(bundles.read_bundle_info, (classifier, path))
  assert (ours.leaves, ours.details) == (theirs.leaves, theirs.details)


def written_rates(folder):
  config = json.loads((folder / "config.json").read_text())
  return config["hidden_dropout_prob"], config["attention_probs_dropout_prob"]


@pytest.mark.parametrize(
  ("given", "rates", "told"),
  [
    (None, (0.1, 0.1), "the config.json says 0.1, BERT's, for fine-tuning (--"),
    (True, (0.1, 0.1), "the config.json says 0.1, BERT's, for fine-tuning (--"),
    (False, (0.0, 0.0), "says 0, so that fine-tuning uses no dropout (--no"),
  ],
)
def test_a_run_without_dropout_says_so(
  given, rates, told, bundle, tmp_path, caplog
):
  info = bundles.read_bundle_info(bundle)
  model = dataclasses.replace(
    info.model, hidden_dropout_rate=0.0, attention_dropout_rate=0.0
  )
  bundles.write_bundle(
    tmp_path / "bundle",
    bundles.load_params(info),
    model,
    info.tokenizer_path,
    DETAILS,
  )
  with caplog.at_level("WARNING"):
    out = export.run(
      bundle=tmp_path / "bundle",
      output=tmp_path / "out",
      huggingface=export.HuggingFace(for_finetuning=given),
    )
  assert "the model was trained without dropout; " in caplog.text
  assert told in caplog.text
  assert written_rates(out) == written_rates(out / "pretraining") == rates


def test_dropout_of_a_run_is_exported_as_it_is(exported, caplog, classifier):
  assert written_rates(exported) == (0.1, 0.1)
  assert "dropout" not in caplog.text
  with pytest.raises(ValueError, match="for_finetuning=True is for --format=h"):
    export.run(
      bundle=classifier,
      output="x",
      format="bundle",
      huggingface=export.HuggingFace(for_finetuning=True),
    )
