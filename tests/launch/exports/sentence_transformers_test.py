# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""sentence-transformers gives the vectors that our model gives."""

import dataclasses
import importlib.util
import json
from typing import Any

import jax
import numpy as np
import pytest

import bertjax
from bertjax.checkpoints import bundle as bundles
from bertjax.model import BertForPreTraining
from data_pipelines.tasks.features import encode_texts
from data_pipelines.tokenizers import tokenizers
from launch import export, import_weights
from launch.exports import sentence_transformers
from launch.exports.formats import Options
from launch.exports.trained import read_bundle
from tests.testing import small
from tests.testing.exports import make_classifier, make_head, snippet

FORMAT = "sentence_transformers"
TEXTS = ["the cod by the river.", "an elm", "the fir and an elm. " * 9]


@pytest.fixture(scope="module", name="library")
def _library():
  pytest.importorskip("torch")
  if importlib.util.find_spec("sentence_transformers") is None:
    pytest.skip("sentence-transformers is absent (make torch)")
  with pytest.MonkeyPatch.context() as patch:
    patch.setenv("HF_HUB_OFFLINE", "1")
    yield pytest.importorskip("sentence_transformers")


def hidden(bundle, length):
  """Return the hidden states and the padding mask of TEXTS."""
  info = bundles.read_bundle_info(bundle)
  params = bundles.load_params(info)
  tokenizer = tokenizers.load(info.tokenizer_path)
  features: Any = encode_texts(tokenizer, TEXTS, None, length).features
  encoder = BertForPreTraining(info.model).bind({"params": params}).encoder
  hidden_BSD = encoder(features, deterministic=True)
  return np.asarray(hidden_BSD), features["packs_BS"] > 0, params


def pool(name, hidden_BSD, real_BS):
  if name == "cls":
    return hidden_BSD[:, 0]
  real_BS1 = real_BS[:, :, None]
  if name == "max":
    return np.where(real_BS1, hidden_BSD, -np.inf).max(1)
  return (hidden_BSD * real_BS1).sum(1) / real_BS1.sum(1)


def unit(vectors_BD):
  return vectors_BD / np.linalg.norm(vectors_BD, axis=1, keepdims=True)


def vectors(library, folder):
  model = library.SentenceTransformer(str(folder), device="cpu")
  return model, np.asarray(model.encode(TEXTS))


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("pooling", ["cls", "mean", "max"])
def test_the_pooling_that_was_chosen_is_used(
  pooling, normalize, library, bundle, tmp_path
):
  folder = export.run(
    bundle=bundle,
    output=tmp_path / "out",
    format=FORMAT,
    options=Options(pooling=pooling, normalize=normalize),
  )
  model, found_BD = vectors(library, folder)
  assert model.max_seq_length == small.MODEL.max_positions
  expected_BD = pool(pooling, *hidden(bundle, model.max_seq_length)[:2])
  if normalize:
    expected_BD = unit(expected_BD)
  np.testing.assert_allclose(found_BD, expected_BD, atol=1e-5, rtol=0)


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_the_pooling_that_was_trained_is_used(pooling, library, tmp_path):
  bundle = make_classifier(tmp_path / "bundle", pooling=pooling)
  folder = export.run(bundle=bundle, output=tmp_path / "out", format=FORMAT)
  model, found_BD = vectors(library, folder)
  assert model.max_seq_length == 12  # of the head
  hidden_BSD, real_BS, params = hidden(bundle, 12)
  expected_BD = pool(pooling, hidden_BSD, real_BS)
  if pooling == "cls":
    dense = params["pooler"]["dense"]
    expected_BD = np.tanh(expected_BD @ dense["kernel"] + dense["bias"][None])
  np.testing.assert_allclose(found_BD, expected_BD, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["single_label", "tokens"])
def test_auto_model_finds_nothing_missing(name, tmp_path):
  """A tagger has no pooler: the folder has one that is not trained."""
  pytest.importorskip("torch")
  transformers = pytest.importorskip("transformers")
  bundle = make_head(tmp_path / "bundle", name)
  folder = export.run(bundle=bundle, output=tmp_path / "out", format=FORMAT)
  _, report = transformers.AutoModel.from_pretrained(
    folder, output_loading_info=True
  )
  assert not any(report.values()), report
  record = json.loads((folder / "bertjax.json").read_text())
  assert record["details"]["pooler_trained"] == (name == "single_label")
  path = import_weights.run(
    source=folder, output=tmp_path / "back", new=("mlm_head", "pair_head")
  )
  encoder = bundles.load_params(bundles.read_bundle_info(bundle))["encoder"]
  back = bertjax.load_bundle(str(path))[1]["encoder"]
  jax.tree.map(np.testing.assert_array_equal, encoder, back)


def test_without_a_pooling_the_mean_is_said(bundle, tmp_path, caplog):
  with caplog.at_level("WARNING"):
    folder = export.run(bundle=bundle, output=tmp_path / "out", format=FORMAT)
  assert "the folder says --pooling=mean" in caplog.text
  config = json.loads((folder / "1_Pooling" / "config.json").read_text())
  assert config["pooling_mode_mean_tokens"]


def test_what_the_folder_drops_is_a_warning(bundle, tmp_path, caplog):
  export.run(bundle=bundle, output=tmp_path / "bare", format=FORMAT)
  assert "drops the head" not in caplog.text
  for name, reads_windows in (("tokens", False), ("answers", True)):
    caplog.clear()
    head = make_head(tmp_path / name, name)
    export.run(bundle=head, output=tmp_path / f"{name}-out", format=FORMAT)
    assert "drops the head fine-tuned for words" in caplog.text
    assert ("the first 12 tokens alone" in caplog.text) == reads_windows


def test_a_pooling_of_no_module_is_refused(bundle, tmp_path):
  with pytest.raises(ValueError, match="--pooling=last4; give one of cls, m"):
    export.run(
      bundle=bundle,
      output=tmp_path / "out",
      format=FORMAT,
      options=Options(pooling="last4"),
    )
  assert not list(tmp_path.iterdir())


def test_a_head_of_no_module_is_refused(tmp_path):
  """DistilBERT's has a ReLU, and the module of BERT's pooler a tanh."""
  trained = read_bundle(make_classifier(tmp_path / "bundle"))
  model = dataclasses.replace(trained.model, sequence_head="relu")
  message = (
    "pooling=cls below model.sequence_head=relu, which .*--pooling=cls|m"
  )
  with pytest.raises(ValueError, match=message):
    sentence_transformers.write(
      trained._replace(model=model), tmp_path / "out", Options()
    )
  assert not (tmp_path / "out").exists()


def test_the_card_runs(library, bundle, tmp_path, monkeypatch, capsys):
  folder = export.run(
    bundle=bundle,
    output=tmp_path / "out",
    format=FORMAT,
    options=Options(pooling="max", normalize=True),
  )
  card = (folder / "README.md").read_text()
  assert "library_name: sentence-transformers\n" in card
  assert "32 numbers: the maximum of the last hidden states, divided by" in card
  assert card.endswith("those of the model with its heads.\n")
  monkeypatch.chdir(folder)
  exec(snippet(folder), {})
  assert "tensor([[1." in capsys.readouterr().out
