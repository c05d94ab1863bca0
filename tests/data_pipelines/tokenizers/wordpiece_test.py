# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Laws of WordPiece: its ids are Google's, and the library's."""

import hashlib
import json
import lzma
import random
import unicodedata

import pytest

from data_pipelines.tokenizers import tokenizers, word_cache, wordpiece
from data_pipelines.tokenizers.special_tokens import SPECIALS
from tests.testing import google_wordpiece
from tests.testing.tokenizer_texts import (
  HOSTILE,
  ODD,
  TEXTS,
  assert_equals_library,
)


def published(real_data):
  return tokenizers.load(real_data / "vocab" / "bert-base-uncased-vocab.txt")


@pytest.fixture(scope="module")
def real_lines(real_data):
  """Some 6,000 lines of books, tweets with emoji, and questions."""
  with lzma.open(real_data / "books" / "valid-00000-of-00001.jsonl.xz") as f:
    books = [json.loads(line)["text"].split("\n\n")[:500] for line in f]
  tweets = (real_data / "wnut17" / "dev.conll").read_text(encoding="utf-8")
  questions = (real_data / "banking77" / "test.csv").read_text("utf-8")
  return [
    *(paragraph[:400] for book in books for paragraph in book),
    *(
      " ".join(line.partition("\t")[0] for line in tweet.split("\n"))
      for tweet in tweets.split("\n\n")
    ),
    *questions.split("\n")[:1500],
  ]


def make_wordpiece(tokens, *, lowercase):
  """Tokens of both cases, so that a cased vocabulary knows some words."""
  capital = [p.capitalize() for p in tokens if p.isalpha()]
  letters = [f"{mark}{c}" for c in "ABCDEFGHIΣÉ가각" for mark in ("", "##")]
  return wordpiece.WordPiece(
    list(dict.fromkeys([*tokens, *capital, *letters])), lowercase=lowercase
  )


def assert_equals_google(tokenizer, texts):
  ids = {token: id_ for id_, token in enumerate(tokenizer.tokens)}
  for text, ours in zip(texts, tokenizer.encode(texts), strict=True):
    expected = google_wordpiece.tokenize(
      text, ids, lowercase=tokenizer.lowercase
    )
    assert ours.tolist() == expected, ascii(text)


def without_final_sigma(texts):
  return [text.replace("Σ", "S") for text in texts]


@pytest.mark.parametrize("lowercase", [True, False])
def test_hostile_text_gives_the_ids_of_google(
  lowercase, trained, book_vocabulary
):
  texts = without_final_sigma(HOSTILE) if lowercase else HOSTILE
  for tokens in (trained.tokens, tokenizers.load(book_vocabulary).tokens):
    assert_equals_google(make_wordpiece(tokens, lowercase=lowercase), texts)


@pytest.mark.parametrize("lowercase", [True, False])
def test_books_give_the_ids_of_google(
  lowercase, book_vocabulary, book_paragraphs
):
  tokens = tokenizers.load(book_vocabulary).tokens
  tokenizer = make_wordpiece(tokens, lowercase=lowercase)
  assert len(book_paragraphs) > 1_000
  assert_equals_google(tokenizer, book_paragraphs)


@pytest.mark.parametrize("lowercase", [True, False])
def test_the_published_vocabulary_gives_the_ids_of_google(
  lowercase, real_data, real_lines
):
  tokens = published(real_data).tokens
  tokenizer = make_wordpiece(tokens, lowercase=lowercase)
  assert len(real_lines) > 5_000
  texts = without_final_sigma(HOSTILE) if lowercase else HOSTILE
  assert_equals_google(tokenizer, [*real_lines, *texts])


@pytest.mark.parametrize("lowercase", [True, False])
def test_random_text_gives_the_ids_of_google(lowercase, trained):
  rng = random.Random(1)
  alphabet = (
    "abehinorstABEÉéÅßİıΑσ가ｱ漢豈𠀀日09 \t\n\r.,!'\"-[]#$^’“—…·¿½²Ⅸﬁ"
    "\0\x07\x7f\x85\u00a0\u00ad"
    "\u0301\u0308\u0323\u200b\u200d\u2028\u202e\u3000\ufeff\ufffd😀👍🏽"
  )
  texts = [
    "".join(rng.choices(alphabet, k=rng.randrange(40))) for _ in range(4000)
  ]
  tokenizer = make_wordpiece(trained.tokens, lowercase=lowercase)
  assert_equals_google(tokenizer, texts)


def unlike_google(characters, *, lowercase):
  """Characters with other ids than Google's, among letters, marks, spaces."""
  letters = [*"abcdefghijklmnopqrstuvwxyzABCDEFGHIÉé0123456789!,.’“-—ß漢"]
  tokenizer = wordpiece.WordPiece(
    [*SPECIALS, *letters, *(f"##{c}" for c in letters)], lowercase=lowercase
  )
  ids = {token: id_ for id_, token in enumerate(tokenizer.tokens)}
  texts = [f"a{c}b ,{c}. {c} É{c}" for c in characters]
  return {
    c
    for c, text, ours in zip(
      characters, texts, tokenizer.encode(texts), strict=True
    )
    if ours.tolist()
    != google_wordpiece.tokenize(text, ids, lowercase=lowercase)
  }


def assert_known_differences(characters, *, lowercase):
  """Only the differences that the docstring of `WordPiece` lists occur."""
  known = {"\u166d", "\u1734", "\u1885", "\u1886"}
  unlike = unlike_google(characters, lowercase=lowercase)
  private = {c for c in characters if unicodedata.category(c) == "Co"}
  ideographs = {c for c in characters if "\U0002b820" <= c <= "\U0002b91f"}
  assert private | ideographs <= unlike
  left = unlike - private - ideographs - known
  # The rest is newer than the library's Unicode tables. The library does not
  # tell their version, but these characters are not in Unicode 3.2.
  old = unicodedata.ucd_3_2_0
  assert not [ascii(c) for c in left if old.category(c) != "Cn"]
  assert {unicodedata.category(c) for c in left} <= {
    *("Mn", "Mc", "Cf"),
    *("Pc", "Pd", "Pe", "Pf", "Pi", "Po", "Ps"),
  }


@pytest.mark.parametrize("lowercase", [True, False])
def test_few_characters_differ_from_google(lowercase):
  # The common scripts, and samples of everything else.
  codes = [
    *range(0x3100),
    *range(0x3100, 0x110000, 197),
    *range(0x2B810, 0x2B930),
  ]
  characters = [chr(code) for code in codes if not 0xD800 <= code < 0xE000]
  assert_known_differences(characters, lowercase=lowercase)


@pytest.mark.full
@pytest.mark.parametrize("lowercase", [True, False])
def test_few_characters_of_all_unicode_differ_from_google(lowercase):
  codes = [*range(0xD800), *range(0xE000, 0x110000)]
  assert_known_differences(list(map(chr, codes)), lowercase=lowercase)


def test_final_sigma_is_an_inner_one(trained):
  """The one difference that real text shows: `str.lower` makes a final ς."""
  tokens = [*SPECIALS, "σας", "σασ", "σα"]
  ours = wordpiece.WordPiece(tokens)
  ids = {token: id_ for id_, token in enumerate(tokens)}
  assert ours.encode(["ΣΑΣ σας"])[0].tolist() == [ids["σασ"], ids["σας"]]
  assert google_wordpiece.tokenize("ΣΑΣ σας", ids, lowercase=True) == [
    *(ids["σας"], ids["σας"])
  ]
  # Lower-case and inner sigmas give equal ids.
  assert_equals_google(ours, ["σας", "σασ", "ΣΑ", "σα ΣΑ"])


def test_the_cache_of_words_gives_the_ids_of_the_library(trained):
  assert_equals_library(trained, ODD + TEXTS)
  # Again, now that every word is in the cache.
  assert_equals_library(trained, ODD + TEXTS)


def test_all_characters_give_the_ids_of_the_library():
  # All small scripts, and samples of the ideographs and all else.
  codes = [*range(0x3100), *range(0x3100, 0x30000, 97)]
  characters = [chr(code) for code in codes if not 0xD800 <= code < 0xE000]
  letters = list("abcdefghijklmnopqrstuvwxyz0123456789!,.’“-—éß漢")
  tokens = [*SPECIALS, *letters, *(f"##{c}" for c in letters)]
  for lowercase in (True, False):
    tokenizer = wordpiece.WordPiece(tokens, lowercase=lowercase)
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


def test_random_text_gives_the_ids_of_the_library(trained):
  rng = random.Random(0)
  alphabet = "abzAZ09 .,!?'\"-’“”—…\t\n\r\0\x7f\u00a0\u00ad\u0301éÉ漢\u200b₁½"
  texts = [
    "".join(rng.choices(alphabet, k=rng.randrange(60))) for _ in range(3000)
  ]
  assert_equals_library(trained, texts)


def test_books_give_the_ids_of_the_library(book_vocabulary, book_paragraphs):
  tokenizer = tokenizers.load(book_vocabulary)
  assert_equals_library(tokenizer, [*book_paragraphs, *ODD])


def test_the_published_vocabulary_gives_the_ids_of_the_library(real_data):
  tokenizer = published(real_data)
  assert tokenizer.vocab_size == 30522
  assert tokenizer.lowercase
  books = real_data / "books" / "valid-00000-of-00001.jsonl.xz"
  with lzma.open(books) as file:
    text = json.loads(file.readline())["text"]
  assert_equals_library(tokenizer, text[:400_000].split("\n\n") + ODD)
  # google-research/bert, tokenization_test.py.
  ids = tokenizer.encode(["UNwant\u00e9d,running"])[0]
  assert [tokenizer.tokens[i] for i in ids] == ["unwanted", ",", "running"]


def test_words_of_more_than_200_characters_are_unknown(trained):
  long, longer = trained.encode(["o" * 200, "o" * 201])
  assert trained.unk_id not in long
  assert longer.tolist() == [trained.unk_id]


def test_small_caches_and_portions_give_the_same_ids(trained, monkeypatch):
  expected = [ids.tolist() for ids in trained.encode(ODD + TEXTS)]
  monkeypatch.setattr(word_cache, "MAX_CACHE", 3)
  monkeypatch.setattr(wordpiece, "_MAX_CHARACTERS", 10)
  for _ in range(2):
    assert [ids.tolist() for ids in trained.encode(ODD + TEXTS)] == expected


@pytest.mark.parametrize(
  ("lines", "message"),
  [
    (["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a"], r"vocab.txt has no \[MASK\]"),
    ([*SPECIALS, "a", "b", "a"], "has .a. twice, as ids 5 and 7"),
    ([*SPECIALS, "", "b"], "vocab.txt:6: the line is empty"),
  ],
)
def test_bad_vocabularies_are_refused(lines, message, tmp_path):
  path = tmp_path / "vocab.txt"
  path.write_text("\n".join(lines) + "\n", encoding="utf-8")
  with pytest.raises(ValueError, match=message):
    tokenizers.load(path)


def test_case_is_folded_as_the_vocabulary_was_made(tmp_path):
  path = tmp_path / "vocab.txt"
  path.write_text("\n".join([*SPECIALS, "The", "the"]), encoding="utf-8")
  cased = tokenizers.load(path)
  assert not cased.lowercase
  assert [ids.tolist() for ids in cased.encode(["The the"])] == [[5, 6]]
  cased.save(tmp_path / "saved")
  assert tokenizers.load(tmp_path / "saved").sha256 == cased.sha256
  # Without capitals only tokenizer_config.json tells the case.
  path.write_text("\n".join([*SPECIALS, "the"]), encoding="utf-8")
  uncased = tokenizers.load(path)
  config = tmp_path / "tokenizer_config.json"
  config.write_text('{"do_lower_case": false}', encoding="utf-8")
  assert uncased.lowercase
  assert not tokenizers.load(path).lowercase
  assert tokenizers.load(path).sha256 != uncased.sha256


def test_hash_is_of_the_ids(trained):
  data = "".join(f"{token}\n" for token in trained.tokens)
  expected = hashlib.sha256(b"wordpiece uncased\n" + data.encode())
  assert trained.sha256 == expected.hexdigest()


@pytest.mark.parametrize("lowercase", [True, False])
def test_tokens_as_words_give_the_ids_of_the_library(lowercase):
  words = ["a", "ab", "AB", "Ab", "b9", "un", "the", "x" * 201, "é"]
  tokenizer = make_wordpiece([*SPECIALS, *words], lowercase=lowercase)
  texts = [case(word) for word in words for case in (str, str.upper, str.title)]
  texts += ["thé", "abab", "[unk]", "unab", "the\x00", "K", "İ"]
  library = tokenizer.make_backend()
  for text, ids in zip(texts, tokenizer.encode(texts), strict=True):
    expected = library.encode(text, add_special_tokens=False).ids
    assert ids.tolist() == expected, text
