# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A folder for transformers: what it says, and what transformers computes."""

import dataclasses
import json

import jax
import pytest

from bertjax.checkpoints import bundle as bundles
from bertjax.interop.architectures import ARCHITECTURES
from bertjax.interop.outputs import PROBLEM_TYPES
from bertjax.interop.sentence_transformers import POOLINGS
from launch import export, predict
from launch.exports.formats import Options
from launch.exports.huggingface import check_head
from launch.tasks import TASKS
from tests.testing.exports import DETAILS, HEADS, make_classifier, make_head
from tests.testing.huggingface_models import LABELS


def test_a_dtype_that_no_file_gets_is_refused(bundle, tmp_path):
  with pytest.raises(
    ValueError, match="--dtype=int8; give float32 or bfloat16"
  ):
    export.run(
      bundle=bundle,
      output=tmp_path / "out",
      options=Options(dtype="int8"),
    )
  assert not list(tmp_path.iterdir())


def test_a_mean_is_no_class_of_transformers(tmp_path):
  bundle = make_classifier(tmp_path / "mean", pooling="mean")
  with pytest.raises(
    ValueError,
    match=r"pooling=mean, which no class of.*=sentence_transformers or onnx",
  ):
    export.run(bundle=bundle, output=tmp_path / "out")
  assert not [*tmp_path.glob("*out*")]


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


def test_the_pipeline_fills_masks_from_the_folder(exported, bundle):
  pytest.importorskip("torch")
  transformers = pytest.importorskip("transformers")
  text = "the [MASK] by the river"
  pipeline = transformers.pipeline("fill-mask", model=str(exported), top_k=32)
  (ours,) = predict.fill_mask(bundle, text, top_k=3)
  scores = {each["token_str"]: each["score"] for each in pipeline(text)}
  # Theirs are over all rows of the word table, of which some are no tokens.
  total = scores[ours[0].text] / ours[0].probability
  for guess in ours:
    expected = guess.probability * total
    assert scores[guess.text] == pytest.approx(expected, rel=1e-4)
  assert total > 0.1


@pytest.mark.parametrize("name", ["single_label", "multi_label", "score"])
def test_the_pipeline_answers_as_we_do(name, tmp_path):
  """It takes softmax, sigmoid or nothing, as config.json says."""
  pytest.importorskip("torch")
  transformers = pytest.importorskip("transformers")
  bundle = make_head(tmp_path / "bundle", name)
  folder = export.run(bundle=bundle, output=tmp_path / "out")
  pipeline = transformers.pipeline("text-classification", model=str(folder))
  text, other = "the cod by the river.", "an elm"
  if name == "score":
    ours = predict.answer(bundle, [text], [other])[0]
    given = {"text": text, "text_pair": other}
    scores = [pipeline(given)["score"]]
    expected = [score for (score,) in ours]
  else:
    ours = predict.answer(bundle, [text], top_k=9)[0]
    theirs = {each["label"]: each["score"] for each in pipeline(text, top_k=9)}
    scores = [theirs[answer[0]] for answer in ours]
    expected = [answer[1] for answer in ours]
  assert len(scores) == max(len(HEADS[name].labels), 1)
  assert scores == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_every_task_has_a_class_of_transformers(task):
  assert task.architecture in ARCHITECTURES
  classifies = task.architecture == "BertForSequenceClassification"
  assert task.problem_type in (PROBLEM_TYPES if classifies else ("",))


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
      options=Options(for_finetuning=given),
    )
  assert "the model was trained without dropout; " in caplog.text
  assert told in caplog.text
  assert written_rates(out) == rates


def test_dropout_of_a_run_is_exported_as_it_is(exported, caplog):
  assert written_rates(exported) == (0.1, 0.1)
  assert "dropout" not in caplog.text


@pytest.mark.parametrize("settings", [{}, {"stride": 4, "pool_max": 1}])
@pytest.mark.parametrize("pooling", ["cls", "mean"])
@pytest.mark.parametrize(
  "name", [name for name, head in HEADS.items() if head.pooling]
)
def test_the_formats_that_a_refusal_advises_have_the_head(
  name, pooling, settings
):
  heads = pytest.importorskip("bertjax.interop.onnx.heads")
  head = dataclasses.replace(HEADS[name], pooling=pooling, settings=settings)
  if pooling == "cls" and not settings:
    check_head(head)
    return
  with pytest.raises(ValueError, match="onnx") as refusal:
    check_head(head)
  assert heads.find_head(head.architecture, pooling)
  if "sentence_transformers" in str(refusal.value):
    assert pooling in POOLINGS
