# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""New tokens of a corpus, from a bundle's weights to an export."""

import dataclasses
import json

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file

from bertjax.checkpoints import bundle as bundles
from bertjax.config import MeshConfig, OptimizerConfig
from bertjax.model.parameters import PARAMETERS, by_name
from bertjax.parallel.mesh import make_mesh
from data_pipelines.prepare.options import Options
from data_pipelines.prepare.prepare import prepare
from data_pipelines.store.store import open_store
from data_pipelines.tokenizers import tokenizers
from data_pipelines.tokenizers.vocabulary_extension import load_extension
from launch import export, pretrain
from launch.run import assembly, resumable
from tests.testing import corpus
from tests.testing.huggingface_models import make_params

LETTERS = "abcdefghijklmnopqrstuvwxyz"
TOKENS = (
  *("[PAD]", "[unused0]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
  *LETTERS,
  *(f"##{letter}" for letter in LETTERS),
  *("the", "heart", "and", "."),
)
ROWS = 64  # of the parent's table: fewer than the extended vocabulary needs


@pytest.fixture(scope="module")
def place(tmp_path_factory):
  return tmp_path_factory.mktemp("extension")


@pytest.fixture(scope="module")
def model():
  made = corpus.make_config("").model
  return dataclasses.replace(made, vocab_size=ROWS)


@pytest.fixture(scope="module")
def parent(place, model):
  """A bundle with random weights and biases."""
  (place / "tokenizer").mkdir()
  (place / "tokenizer/vocab.txt").write_text("\n".join(TOKENS) + "\n")

  params = make_params("BertForPreTraining", model)
  info = bundles.write_bundle(
    place / "parent",
    params,
    model,
    place / "tokenizer",
    bundles.Details(
      pooler_trained=True,
      tokenizer_sha256=tokenizers.load(place / "tokenizer").sha256,
    ),
  )
  return str(info.path)


def make_store(place, name, **options):
  generator = np.random.default_rng(5)
  words = ("troponin", "myocyte", "statin", "aorta", "stent", "the", "heart")
  documents = [
    "\n".join(
      f"{' '.join(generator.choice(words, 5))} and the heart."
      for _ in range(generator.integers(3, 9))
    )
    for _ in range(40)
  ]
  (place / "text.txt").write_text("\n\n".join(documents) + "\n")
  prepare(
    Options(
      corpus=str(place / "text.txt"),
      output=str(place / name),
      documents="blank_line",
      sentences="lines",
      validation="0",
      **options,
    )
  )
  return str(place / name)


@pytest.fixture(scope="module")
def store(place, parent):
  return make_store(place, "store", tokenizer=parent, extend_vocab=5)


def make_config(store, parent, **changes):
  return corpus.make_config(
    store, **{"init_from": parent, "steps": 1, **changes}
  )


def test_the_store_names_the_parent_of_its_tokenizer(store, parent):
  made = load_extension(open_store(store).tokenizer_path)
  assert made is not None
  assert made.parent_sha256 == tokenizers.load(parent).sha256
  names = [made.tokenizer.tokens[id_] for id_ in made.parts]
  assert names[0] == "troponin"
  assert len(names) == 5
  assert open_store(store).vocab_size == len(TOKENS) + 3 > ROWS
  assert made.after.fertility < made.before.fertility


def test_old_rows_are_kept_and_new_rows_are_means_of_their_parts(
  store, parent, tmp_path
):
  config = make_config(store, parent, mesh=MeshConfig(2, 2, 2))
  parts = assembly.assemble(config)
  assert parts.config.model.vocab_size == 128
  made = load_extension(parts.store.tokenizer_path)
  assert made is not None
  old = by_name(bundles.load_params(bundles.read_bundle_info(parent)))
  with resumable.open_run(parts, tmp_path / "w") as run:
    new = by_name(run.state.params)
    for name, leaf in new.items():
      if PARAMETERS[name].spare_token is None:
        np.testing.assert_array_equal(leaf, old[name])
        continue
      got, given = np.asarray(leaf), np.asarray(old[name])
      assert len(got) == 128
      kept = [id_ for id_ in range(ROWS) if id_ not in made.parts]
      np.testing.assert_array_equal(got[kept], given[kept])
      for id_, ids in made.parts.items():
        expected = given[list(ids)].astype(float).mean(0)
        np.testing.assert_allclose(got[id_], expected, rtol=0, atol=1e-6)


def test_a_run_with_new_tokens_goes_from_store_to_export(
  store, parent, tmp_path, monkeypatch
):
  one = lambda *_: make_mesh(MeshConfig(), jax.devices()[:1])
  monkeypatch.setattr("bertjax.train.program.make_mesh", one)
  config = make_config(store, parent)
  bundle = pretrain.run(config, str(tmp_path / "w")).bundle
  info = bundles.read_bundle_info(bundle)
  assert info.model.vocab_size == 128
  tokenizer = tokenizers.load(bundle)
  assert tokenizer.sha256 == info.details.tokenizer_sha256
  assert "troponin" in tokenizer.tokens
  assert load_extension(info.tokenizer_path) is not None
  # Continuing from the new bundle on the same store changes no shape.
  again = make_config(store, bundle)
  assert assembly.assemble(again).config.model.vocab_size == 128
  folder = export.run(bundle=bundle, output=tmp_path / "hf")
  settings = json.loads((folder / "config.json").read_text())
  weights = load_file(folder / "model.safetensors")
  (rows,) = {
    len(array) for name, array in weights.items() if "word_emb" in name
  }
  assert settings["vocab_size"] == rows == 128
  assert tokenizers.load(folder).sha256 == tokenizer.sha256


def test_a_table_with_enough_rows_keeps_its_size(place, parent):
  """Two tokens fit into the ids of [unusedN] tokens."""
  store = make_store(place, "small", tokenizer=parent, extend_vocab=2)
  assert open_store(store).vocab_size == len(TOKENS)
  wide = dataclasses.replace(
    make_config(store, parent).model, vocab_size=ROWS * 2
  )
  for model, rows in ((None, ROWS), (wide, 2 * ROWS)):
    config = make_config(store, parent)
    if model is not None:
      config = dataclasses.replace(config, model=model)
    assert assembly.assemble(config).config.model.vocab_size == rows


def test_another_tokenizer_or_model_is_refused(place, store, parent, model):
  other = make_store(place, "other", tokenizer="wordpiece", vocab_size=90)
  with pytest.raises(ValueError, match=r"--tokenizer=\S+, and --extend_vocab"):
    assembly.assemble(make_config(other, parent))
  # The rest of the model must be equal, and the table must not shrink.
  for name, value in (("num_layers", 3), ("vocab_size", 32)):
    changed = dataclasses.replace(model, **{name: value})
    config = make_config(
      store, parent, model=changed, optimizer=OptimizerConfig()
    )
    with pytest.raises(ValueError, match=rf"give --config\.model\.{name}="):
      assembly.assemble(config)
