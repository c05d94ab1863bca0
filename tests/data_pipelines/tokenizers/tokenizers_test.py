# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Learning, saving and loading, for every kind of tokenizer."""

import json
import pickle
import subprocess
import sys

import numpy as np
import pytest

from data_pipelines.tokenizers import kinds, tokenizers, word_counts
from data_pipelines.tokenizers.huggingface_import import load_huggingface
from tests.testing.tokenizer_texts import GENERAL, ODD, TEXTS


@pytest.mark.parametrize("lowercase", [True, False])
@pytest.mark.parametrize("kind", GENERAL)
def test_saved_and_pickled_tokenizers_are_the_same(
  kind, lowercase, learned, tmp_path
):
  tokenizer = learned[kind, lowercase]
  tokenizer.save(tmp_path / "tokenizer")
  for again in (
    tokenizers.load(tmp_path / "tokenizer"),
    tokenizers.load(tmp_path),  # as in a store
    pickle.loads(pickle.dumps(tokenizer)),
  ):
    assert again.name == kind.removesuffix("_bpe")
    assert again.sha256 == tokenizer.sha256
    assert again.tokens == tokenizer.tokens
    assert again.lowercase is tokenizer.lowercase is lowercase
    for ours, theirs in zip(
      again.encode(ODD), tokenizer.encode(ODD), strict=True
    ):
      np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("kind", GENERAL)
def test_a_cased_tokenizer_tells_capitals_and_accents(kind, learned, tmp_path):
  for lowercase in (True, False):
    tokenizer = learned[kind, lowercase]
    assert any(p != p.lower() for p in tokenizer.tokens[5:]) != lowercase
    # The decoders put no spaces between characters.
    (ids,) = tokenizer.encode(["The Café naïve"])
    folded = kind == "wordpiece" and lowercase
    assert ("ï" in tokenizer.decode(ids)) != folded
    assert ("T" in tokenizer.decode(ids)) != lowercase
    tokenizer.save(tmp_path)
    config = json.loads((tmp_path / "tokenizer_config.json").read_text())
    assert config["do_lower_case"] is lowercase
    if kind == "wordpiece":
      backend = json.loads((tmp_path / "tokenizer.json").read_text())
      assert backend["normalizer"]["lowercase"] is lowercase
      assert load_huggingface(tmp_path).sha256 == tokenizer.sha256


def test_a_cased_vocabulary_without_capitals_stays_cased(tmp_path):
  small = tokenizers.train(
    ["only small letters, only these"] * 3, "wordpiece", 80, lowercase=False
  )
  small.save(tmp_path)
  again = tokenizers.load(tmp_path)
  assert not again.lowercase
  assert again.sha256 == small.sha256
  assert again.encode(["Only"])[0].tolist() == [again.unk_id]


@pytest.mark.parametrize("kind", tokenizers.KINDS)
def test_joining_documents_changes_nothing_that_is_learned(
  kind, learned, monkeypatch
):
  """From an iterator, in windows, with documents joined or not."""
  size = 200 if kind == "wordpiece" else learned[kind, True].vocab_size
  size = 400 if kind in kinds.BYTE_LEVEL else size
  expected = learned[kind, True].sha256
  monkeypatch.setattr(word_counts, "_WINDOW", 11)
  for texts in (iter(TEXTS), ["\n".join(TEXTS)], [" ".join(TEXTS)]):
    assert tokenizers.train(texts, kind, size).sha256 == expected


TRAIN = """
import hashlib, sys
from data_pipelines.corpora.stdlib_corpus import _read, _sources
from data_pipelines.tokenizers import kinds, tokenizers
path = dict(_sources())["argparse"]
for kind in tokenizers.KINDS:
  for lowercase in (True, False)[kind in kinds.BYTE_LEVEL:]:
    text = [_read(path)] * 2
    print(tokenizers.train(text, kind, 900, lowercase=lowercase).sha256)
"""


def test_training_is_reproducible_across_processes():
  # The trainer of the library gives other results in every process.
  runs = {
    subprocess.run(
      [sys.executable, "-c", TRAIN], capture_output=True, text=True, check=True
    ).stdout
    for _ in range(3)
  }
  assert len(runs) == 1
  number = 2 * len(tokenizers.KINDS) - len(kinds.BYTE_LEVEL)
  assert len(set(runs.pop().split())) == number


def test_bad_paths_and_sizes_are_refused(tmp_path):
  with pytest.raises(ValueError, match="nowhere does not exist"):
    tokenizers.load(tmp_path / "nowhere")
  with pytest.raises(ValueError, match=r"holds no vocab.txt or spiece.model"):
    tokenizers.load(tmp_path)
  (tmp_path / "vocab.txt").write_bytes(b"\xff\xfe")
  with pytest.raises(ValueError, match="not UTF-8"):
    tokenizers.load(tmp_path)
  (tmp_path / "other").mkdir()
  (tmp_path / "other" / "spiece.model").write_bytes(b"nonsense")
  with pytest.raises(ValueError, match="is not a SentencePiece model"):
    tokenizers.load(tmp_path / "other")
  with pytest.raises(ValueError, match="tokenizer='bpe'; choose from"):
    tokenizers.train(TEXTS, "bpe", 100)
  for size in (12, 5000):
    with pytest.raises(ValueError, match=f"vocab_size={size} does not fit"):
      tokenizers.train(TEXTS, "sentencepiece", size)


def test_merges_are_a_part_of_a_tokenizer(learned, tmp_path):
  ours = learned["roberta", True]
  ours.save(tmp_path)
  merges = tmp_path / "merges.txt"
  assert tokenizers.load(merges).sha256 == ours.sha256
  (tmp_path / "vocab.json").unlink()
  assert tokenizers.load(merges).sha256 == ours.sha256
  (tmp_path / "tokenizer.json").unlink()
  with pytest.raises(ValueError, match=r"merges.txt is no vocab.txt or spiece"):
    tokenizers.load(merges)


def test_a_tokenizer_is_learned_with_other_rules():
  texts = [f"Ｃａｆé cafe\u0301 {word}" for word in TEXTS]
  asked = {"lowercase": False, "normalization": "none"}
  spm = tokenizers.train(texts, "sentencepiece", 70, **asked)
  assert spm.normalization == "none"
  assert "Ｃ" in "".join(spm.tokens)
  folded = tokenizers.train(texts, "sentencepiece", 66, lowercase=False)
  assert folded.normalization == "nfkc"
  assert "Ｃ" not in "".join(folded.tokens)
  kept = tokenizers.train(
    texts, "wordpiece", 300, strip_accents=False, normalization="nfkc"
  )
  assert kept.encode(["CAFÉ"])[0].tolist() == [kept.tokens.index("café")]
  assert "\u0301" not in "".join(kept.tokens)
