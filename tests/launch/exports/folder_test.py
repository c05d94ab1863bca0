# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What an exported folder has beside the weights."""

import pytest

from bertjax.checkpoints import bundle as bundles
from data_pipelines.tokenizers import tokenizers
from data_pipelines.tokenizers.wordpiece import WordPiece
from launch import export
from launch.exports import folder
from launch.exports.formats import Options
from tests.testing import small
from tests.testing.exports import DETAILS
from tests.testing.huggingface_models import make_params
from tests.testing.sentencepiece_models import learn_sentencepiece

TEXTS = ("the cod, by The River", "É\thill [x] and-ash", "", "oaks the elm.")


def test_weights_that_are_no_export_are_not_replaced(
  exported, bundle, tmp_path
):
  """Such as the directory that a bundle was imported from."""
  (tmp_path / "model.safetensors").write_bytes(b"mine")
  with pytest.raises(ValueError, match="exists and is not an export"):
    export.run(bundle=bundle, output=tmp_path)
  assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]
  again = export.run(
    bundle=bundle, output=exported, options=Options(license="apache-2.0")
  )
  assert (again / "README.md").is_file()


@pytest.mark.parametrize("lowercase", [True, False])
def test_auto_tokenizer_gives_our_ids(lowercase, exported, bundle, tmp_path):
  transformers = pytest.importorskip("transformers")
  source = tmp_path / "tokenizer"
  WordPiece((*small.TOKENS, "River"), lowercase=lowercase).save(source)
  info = bundles.read_bundle_info(bundle)
  bundles.write_bundle(
    tmp_path / "bundle", bundles.load_params(info), info.model, source, DETAILS
  )
  out = export.run(bundle=tmp_path / "bundle", output=tmp_path / "out")
  ours = tokenizers.load(out)
  assert ours.lowercase == lowercase
  theirs = transformers.AutoTokenizer.from_pretrained(out)
  for text, ids in zip(TEXTS, ours.encode(TEXTS), strict=True):
    expected = [ours.cls_id, *ids.tolist(), ours.sep_id]
    assert theirs(text)["input_ids"] == expected, text
  assert theirs.mask_token_id == ours.mask_id
  assert theirs.model_max_length == small.MODEL.max_positions


@pytest.mark.parametrize("has_types", [True, False])
def test_a_model_gets_types_of_tokens_only_if_it_has_any(has_types, tmp_path):
  transformers = pytest.importorskip("transformers")
  tokenizer = tokenizers.train(TEXTS, "modernbert", 270)
  folder.write_tokenizer(tokenizer, tmp_path, 9, has_types=has_types)
  theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
  found = theirs("cod", "oak")
  assert ("token_type_ids" in found) == has_types
  a, b = tokenizer.encode(["cod", "oak"])
  if has_types:
    expected = tokenizer.template.types(len(a), len(b)).tolist()
    assert found["token_type_ids"] == expected


def test_a_tokenizer_that_transformers_cannot_read_is_said(tmp_path, caplog):
  tokenizer = learn_sentencepiece(
    [f"{text} and a hill." for text, _ in small.make_texts(40, 0)],
    model_type="word",
    vocab_size=12,
  )
  tokenizer.save(tmp_path / "tokenizer")
  bundles.write_bundle(
    tmp_path / "bundle",
    make_params("BertForPreTraining", small.MODEL),
    small.MODEL,
    tmp_path / "tokenizer",
    DETAILS,
  )
  with caplog.at_level("WARNING"):
    out = export.run(bundle=tmp_path / "bundle", output=tmp_path / "out")
  assert "AutoTokenizer cannot read" in caplog.text
  assert not (out / "tokenizer.json").exists()
  with pytest.raises(ValueError, match="neither a unigram nor a BPE model"):
    export.run(
      bundle=tmp_path / "bundle",
      output=tmp_path / "vectors",
      format="sentence_transformers",
    )
  assert not (tmp_path / "vectors").exists()
