# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import hashlib
import json
import pickle
import random
import subprocess
import sys

import numpy as np
import pytest

from data_pipelines import tokenizers, wordpiece
from data_pipelines.pieces import SPECIALS

TEXTS = [
  "The quick brown fox jumps over the lazy dog, again and again.",
  "Cafés serve “naïve” résumés — don’t they? (Yes: 3.14!)",
  "Unbelievable! Tokenization of tokenizers tokenizes tokens.",
] * 4
ODD = [
  "",
  " ",
  "\n",
  "two\nlines and\ttabs\r\nhere",
  "[MASK] [CLS][SEP] [PAD]and[UNK] ##ing",
  "soft\u00adhyphen zero\u200bwidth nul\0 bell\x07rings dele\x7fted",
  "form\x0cfeed vertical\x0btab \x1cfile\x1dsep\x85nel",
  "日本語のテキスト and 漢字kanji，。！",
  "≮ \u037e \u1fef \u0387 e\u0301 !\u0301 \u0301x ﬁne Ⅸ İstanbul ΣΑΣ ß",
  "a b\u2003c\u3000d\u2028e\u2029f \ufeffbom \ufffdreplaced",
  "x" * 99 + " " + "y" * 150 + " " + "z" * 201 + "-tail",
  "emoji 👩‍👩‍👧 🇩🇪 नमस्ते العربية ไทย 𝔘𝔫𝔦",
  "“quoted”—dash–dash…ellipsis‘single’ ¿qué? ¡sí! «g» §5 ¶ a·b don’t",
]


@pytest.fixture(scope="module")
def trained():
  return tokenizers.train(TEXTS, "wordpiece", 200)


@pytest.fixture(scope="module")
def spm():
  return tokenizers.train(TEXTS, "sentencepiece", 58)


def library_ids(tokenizer, texts):
  encodings = tokenizer.make_backend().encode_batch(
    list(texts), add_special_tokens=False
  )
  return [encoding.ids for encoding in encodings]


def assert_equals_library(tokenizer, texts):
  ours = tokenizer.encode(texts)
  for text, ids, expected in zip(
    texts, ours, library_ids(tokenizer, texts), strict=True
  ):
    assert ids.tolist() == expected, repr(text)


def published(shared_data):
  return tokenizers.load(shared_data / "vocab" / "bert-base-uncased-vocab.txt")


def test_wordpiece_with_remembered_words_equals_the_library(trained):
  assert_equals_library(trained, ODD + TEXTS)
  # Again, now that every word is remembered.
  assert_equals_library(trained, ODD + TEXTS)


def test_every_character_beside_letters_and_marks_is_cut_as_the_library_does():
  # All of the small scripts, and samples of the ideographs and beyond.
  codes = [*range(0x3100), *range(0x3100, 0x30000, 97)]
  characters = [chr(code) for code in codes if not 0xD800 <= code < 0xE000]
  letters = list("abcdefghijklmnopqrstuvwxyz0123456789!,.’“-—éß漢")
  pieces = [*SPECIALS, *letters, *(f"##{c}" for c in letters)]
  for lowercase in (True, False):
    tokenizer = wordpiece.WordPiece(pieces, lowercase=lowercase)
    texts = [f"a{c}b ,{c}. “{c}” {c} é{c}" for c in characters]
    backend = tokenizer.make_backend()
    ours = tokenizer.encode(texts)
    # By count and then exactly, so that a failure names the character.
    for text, ids, expected in zip(
      texts,
      ours,
      backend.encode_batch_fast(texts, add_special_tokens=False),
      strict=True,
    ):
      assert ids.tolist() == expected.ids, (ascii(text), lowercase)


def test_random_text_is_cut_as_the_library_does(trained):
  rng = random.Random(0)
  alphabet = "abzAZ09 .,!?'\"-’“”—…\t\n\r\0\x7f\u00a0\u00ad\u0301éÉ漢\u200b₁½"
  texts = [
    "".join(rng.choices(alphabet, k=rng.randrange(60))) for _ in range(3000)
  ]
  assert_equals_library(trained, texts)


def test_published_vocabulary_on_books_equals_the_library(shared_data):
  import lzma

  tokenizer = published(shared_data)
  assert tokenizer.vocab_size == 30522
  assert tokenizer.lowercase
  books = shared_data / "books" / "valid-00000-of-00001.jsonl.xz"
  with lzma.open(books) as file:
    text = json.loads(file.readline())["text"]
  assert_equals_library(tokenizer, text[:400_000].split("\n\n") + ODD)
  # google-research/bert, tokenization_test.py.
  ids = tokenizer.encode(["UNwant\u00e9d,running"])[0]
  assert [tokenizer.pieces[i] for i in ids] == ["unwanted", ",", "running"]


def test_words_up_to_200_characters_are_cut_longer_ones_unknown(trained):
  long, longer = trained.encode(["o" * 200, "o" * 201])
  assert trained.unk_id not in long
  assert longer.tolist() == [trained.unk_id]


def test_text_never_gives_a_special_id(trained, spm):
  for tokenizer in (trained, spm):
    specials = {
      tokenizer.pad_id,
      tokenizer.cls_id,
      tokenizer.sep_id,
      tokenizer.mask_id,
    }
    flat, _ = tokenizer.encode_flat([*ODD, " ".join(tokenizer.pieces)])
    assert not specials & set(flat.tolist())


@pytest.mark.parametrize("kind", tokenizers.KINDS)
def test_encode_flat_is_encode_in_a_row(kind, trained, spm):
  tokenizer = trained if kind == "wordpiece" else spm
  texts = ["", *TEXTS[:3], "", "a\nb", ""]
  flat, lengths = tokenizer.encode_flat(texts)
  apart = [tokenizer.encode([text])[0] for text in texts]
  assert flat.dtype == np.int32
  assert lengths.tolist() == [len(ids) for ids in apart]
  np.testing.assert_array_equal(flat, np.concatenate(apart))
  assert tokenizer.encode([]) == []


def test_forgetting_and_portions_change_nothing(trained, monkeypatch):
  expected = [ids.tolist() for ids in trained.encode(ODD + TEXTS)]
  monkeypatch.setattr(wordpiece, "_MAX_REMEMBERED", 3)
  monkeypatch.setattr(wordpiece, "_CHARACTERS", 10)
  for _ in range(2):
    assert [ids.tolist() for ids in trained.encode(ODD + TEXTS)] == expected


@pytest.mark.parametrize("kind", tokenizers.KINDS)
def test_saved_and_pickled_tokenizers_are_the_same(
  kind, trained, spm, tmp_path
):
  tokenizer = trained if kind == "wordpiece" else spm
  tokenizer.save(tmp_path / "tokenizer")
  for again in (
    tokenizers.load(tmp_path / "tokenizer"),
    tokenizers.load(tmp_path),  # a store keeps it in a folder of this name
    pickle.loads(pickle.dumps(tokenizer)),
  ):
    assert again.name == kind
    assert again.sha256 == tokenizer.sha256
    assert again.pieces == tokenizer.pieces
    assert again.lowercase is tokenizer.lowercase is True
    for ours, theirs in zip(
      again.encode(ODD), tokenizer.encode(ODD), strict=True
    ):
      np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("kind", tokenizers.KINDS)
def test_transformers_gives_the_same_ids(kind, trained, spm, tmp_path):
  transformers = pytest.importorskip(
    "transformers", reason="transformers (extra hf) is not installed"
  )
  tokenizer = trained if kind == "wordpiece" else spm
  tokenizer.save(tmp_path)
  theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
  texts = [text for text in ODD if not text.startswith("[MASK]")] + TEXTS
  for text, ids in zip(texts, tokenizer.encode(texts), strict=True):
    expected = theirs(text, add_special_tokens=False)["input_ids"]
    assert ids.tolist() == expected, repr(text)
  assert len(theirs) == tokenizer.vocab_size
  a, b = (tokenizer.encode([text])[0].tolist() for text in TEXTS[:2])
  pair = theirs(TEXTS[0], TEXTS[1])
  cls, sep = tokenizer.cls_id, tokenizer.sep_id
  assert pair["input_ids"] == [cls, *a, sep, *b, sep]
  assert pair["token_type_ids"] == [0] * (len(a) + 2) + [1] * (len(b) + 1)
  assert theirs.mask_token_id == tokenizer.mask_id
  assert theirs.pad_token_id == tokenizer.pad_id


def test_bert_tokenizer_of_transformers_gives_the_same_ids(trained, tmp_path):
  transformers = pytest.importorskip(
    "transformers", reason="transformers (extra hf) is not installed"
  )
  vocabulary = {piece: i for i, piece in enumerate(trained.pieces)}
  theirs = transformers.BertTokenizer(vocabulary)
  # It stops at words of 100 characters and knows "[MASK]" in a text.
  texts = [t for t in ODD if "[MASK]" not in t and "y" * 101 not in t] + TEXTS
  for text, ids in zip(texts, trained.encode(texts), strict=True):
    expected = theirs(text, add_special_tokens=False)["input_ids"]
    assert ids.tolist() == expected, repr(text)


def test_decoding_gives_the_text_back(trained, spm):
  text = "the quick brown fox jumps over the lazy dog, again and again."
  for tokenizer in (trained, spm):
    assert tokenizer.decode(tokenizer.encode([text])[0]) == text
    shown = tokenizer.decode([tokenizer.mask_id, *tokenizer.encode(["fox"])[0]])
    assert shown == "[MASK] fox"


TRAIN = """
import hashlib, sys
from data_pipelines import tokenizers
from data_pipelines.stdlib_corpus import _read, _sources
path = dict(_sources())["argparse"]
for kind in tokenizers.KINDS:
  print(tokenizers.train([_read(path)] * 2, kind, 900).sha256)
"""


def test_training_is_reproducible_across_processes():
  # The library's own trainer differs from process to process.
  runs = {
    subprocess.run(
      [sys.executable, "-c", TRAIN], capture_output=True, text=True, check=True
    ).stdout
    for _ in range(3)
  }
  assert len(runs) == 1
  assert len(runs.pop().split()) == 2


def test_vocabulary_tables(shared_data, spm):
  tokenizer = published(shared_data)
  counts = np.zeros(tokenizer.vocab_size, np.int64)
  counts[2000] = 78
  table = tokenizer.vocabulary(counts)
  assert table.size == 30522
  assert (table.pad_id, table.unk_id, table.cls_id) == (0, 100, 101)
  assert (table.sep_id, table.mask_id) == (102, 103)
  assert np.flatnonzero(table.special_V).tolist() == [0, 100, 101, 102, 103]
  # 994 slots [unused0] ... [unused993], and five special pieces.
  assert len(table.ordinary_W) == 30522 - 994 - 5
  assert table.ordinary_W.dtype == np.int32
  assert table.continues_V.sum() == 5828  # pieces that start with ##
  assert table.log_unigram_V is not None
  assert np.isclose(np.exp(table.log_unigram_V.astype(float)).sum(), 1)
  assert np.isclose(table.log_unigram_V[2000], np.log(79 / 30600))
  with pytest.raises(ValueError, match="7 piece counts for 30522 pieces"):
    tokenizer.vocabulary(np.zeros(7, np.int64))
  table = spm.vocabulary()
  assert table.log_unigram_V is None
  starts = [
    p for p, c in zip(spm.pieces, table.continues_V, strict=True) if not c
  ]
  assert all(piece.startswith("▁") for piece in starts[5:])


def test_unused_slots_are_no_random_replacements():
  pieces = ["[PAD]", "[unused0]", "[unused99]", *SPECIALS[1:], "a", "##b"]
  table = wordpiece.WordPiece(pieces).vocabulary()
  assert table.ordinary_W.tolist() == [7, 8]
  assert np.flatnonzero(table.special_V).tolist() == [0, 3, 4, 5, 6]
  assert np.flatnonzero(table.continues_V).tolist() == [8]


@pytest.mark.parametrize(
  ("lines", "message"),
  [
    (["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a"], r"vocab.txt has no \[MASK\]"),
    ([*SPECIALS, "a", "b", "a"], "holds 'a' twice, as 5 and 7"),
    ([*SPECIALS, "", "b"], "vocab.txt:6: no piece"),
  ],
)
def test_bad_vocabularies_are_refused(lines, message, tmp_path):
  path = tmp_path / "vocab.txt"
  path.write_text("\n".join(lines) + "\n", encoding="utf-8")
  with pytest.raises(ValueError, match=message):
    tokenizers.load(path)


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
  with pytest.raises(ValueError, match="is no SentencePiece model"):
    tokenizers.load(tmp_path / "other")
  with pytest.raises(ValueError, match="tokenizer='bpe'; choose from"):
    tokenizers.train(TEXTS, "bpe", 100)
  with pytest.raises(ValueError, match="vocab_size=20 has no room for the"):
    tokenizers.train(TEXTS, "wordpiece", 20)
  for size in (12, 5000):
    with pytest.raises(ValueError, match=f"vocab_size={size} does not fit"):
      tokenizers.train(TEXTS, "sentencepiece", size)


def test_case_is_folded_as_the_vocabulary_was_made(tmp_path):
  path = tmp_path / "vocab.txt"
  path.write_text("\n".join([*SPECIALS, "The", "the"]), encoding="utf-8")
  cased = tokenizers.load(path)
  assert not cased.lowercase
  assert [ids.tolist() for ids in cased.encode(["The the"])] == [[5, 6]]
  cased.save(tmp_path / "saved")
  assert tokenizers.load(tmp_path / "saved").sha256 == cased.sha256
  # Without capitals only the file beside it can tell.
  path.write_text("\n".join([*SPECIALS, "the"]), encoding="utf-8")
  uncased = tokenizers.load(path)
  config = tmp_path / "tokenizer_config.json"
  config.write_text('{"do_lower_case": false}', encoding="utf-8")
  assert uncased.lowercase
  assert not tokenizers.load(path).lowercase
  assert tokenizers.load(path).sha256 != uncased.sha256


def test_hash_is_of_the_ids(trained):
  data = "".join(f"{piece}\n" for piece in trained.pieces)
  expected = hashlib.sha256(b"wordpiece uncased\n" + data.encode())
  assert trained.sha256 == expected.hexdigest()
