# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from data_pipelines.tokenizers import tokenizers
from tests.testing.sentencepiece_models import learn_sentencepiece
from tests.testing.tokenizer_texts import (
  ODD,
  TEXTS,
  assert_equals_library,
  library_ids,
)

MODELS = {
  "bpe": dict(model_type="bpe"),
  "bpe, bytes": dict(model_type="bpe", byte_fallback=True),
  "bpe, cased": dict(model_type="bpe", normalization_rule_name="identity"),
  "bpe, symbols": dict(
    model_type="bpe", user_defined_symbols=["(", "-", "<br>", "the"]
  ),
  "char": dict(model_type="char"),
  "unigram, symbols": dict(user_defined_symbols=["(", "-", "<br>", "the"]),
  "unigram, bytes": dict(byte_fallback=True),
}


SPACES = ["▁under ▁▁ two ▁", "▁", "  lead  and   trail  ", " \t x \t ", "漢 字"]
RUNS = [
  f"{end}{mark * count}{end}"
  for mark in ("-", ".", "=", "ha", "the", "!?")
  for count in range(1, 30)
  for end in ("", "x", " ")
]


LEARNED = {
  "unigram": ("sentencepiece", True),
  "cased": ("sentencepiece", False),
  "learned bpe": ("sentencepiece_bpe", True),
  "learned bpe, cased": ("sentencepiece_bpe", False),
}


@pytest.mark.parametrize("name", [*LEARNED, *MODELS])
def test_rebuilt_models_give_the_same_ids(name, book_paragraphs):
  lines = [p.replace("\n", " ") for p in book_paragraphs if p.strip()]
  if name in LEARNED:
    kind, lowercase = LEARNED[name]
    # Runs of equal characters have many equally likely segmentations.
    tokenizer = tokenizers.train(
      [*lines[:2000], *RUNS], kind, 1_000, lowercase=lowercase
    )
  else:
    tokenizer = learn_sentencepiece(lines[:2000], **MODELS[name])
  assert not tokenizer.export_obstacle
  texts = [*ODD, *SPACES, *lines]
  if "cased" in name:
    # Without folding, the library matches the names of special tokens.
    texts = [text for text in texts if "[MASK]" not in text]
  if name.startswith("unigram, "):
    # The scores of these models are not rounded, so ties may differ.
    pairs = zip(
      tokenizer.encode(texts), library_ids(tokenizer, texts), strict=True
    )
    unlike = [ids for ids, theirs in pairs if ids.tolist() != theirs]
    assert len(unlike) < 0.002 * len(texts)
  else:
    assert_equals_library(tokenizer, [*texts, *RUNS])


@pytest.mark.parametrize(
  ("options", "reason"),
  [
    ({"model_type": "word"}, "neither a unigram nor a BPE model"),
    ({"treat_whitespace_as_suffix": True}, "spaces stand at the end of words"),
    ({"user_defined_symbols": ["<BR>"]}, "'<BR>' would be normalized"),
  ],
)
def test_a_model_that_cannot_be_rebuilt_says_why(options, reason, tmp_path):
  tokenizer = learn_sentencepiece(TEXTS, **{"vocab_size": 62, **options})
  assert reason in tokenizer.export_obstacle
  tokenizer.save(tmp_path)
  assert [path.name for path in tmp_path.iterdir()] == ["spiece.model"]
  again = tokenizers.load(tmp_path)
  assert again.sha256 == tokenizer.sha256
  text = "the quick brown fox jumps over the lazy dog, again and again."
  assert again.decode(again.encode([text])[0]) == text
