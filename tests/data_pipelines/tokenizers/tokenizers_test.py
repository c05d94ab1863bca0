# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import hashlib
import io
import json
import lzma
import pickle
import random
import subprocess
import sys
import unicodedata

import numpy as np
import pytest
import sentencepiece

from data_pipelines.tokenizers import tokenizers, wordpiece, words
from data_pipelines.tokenizers.exchange import load_exchange
from data_pipelines.tokenizers.pieces import SPECIALS
from data_pipelines.tokenizers.sentencepiece_model import SentencePiece
from tests.testing import google_wordpiece

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


@pytest.fixture(scope="module")
def learnt(trained, spm):
  """One of each kind, of both cases."""
  made = {("wordpiece", True): trained, ("sentencepiece", True): spm}
  for kind in tokenizers.KINDS:
    for lowercase in (True, False):
      if (kind, lowercase) not in made:
        made[kind, lowercase] = tokenizers.train(
          TEXTS, kind, 200 if kind == "wordpiece" else 66, lowercase=lowercase
        )
  return made


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


def published(real_data):
  return tokenizers.load(real_data / "vocab" / "bert-base-uncased-vocab.txt")


@pytest.fixture(scope="module")
def real_lines(real_data):
  """Of books, of tweets with emoji, and of questions: some 6,000."""
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


HOSTILE = [
  *ODD,
  "Ame\u0301lie AME\u0301LIE Zu\u0308rich o\u0308\u0332\u0301x \u0344a A\u030a",
  "ẛ̣ ǆ ǅ Ǆ ﬀ ﷺ ½ ① ™ K Å Ω ﹏ ＡＢＣ！ ｶﾞ ガ 가 각 \u1100\u1161\u11a8",
  "一二three四 x\u3400y \U00020000z \u9fff\ua000 \uf900 \u2f00 々〆〇 ｱ日",
  "nul\x00 bell\x07 esc\x1b[0m del\x7f c1\x80\x9f nbsp\u00a0 shy\u00ad",
  "zwsp\u200b zwnj\u200c zwj\u200d lrm\u200e rlo\u202eab\u202c wj\u2060 \ufeff",
  "a\u180eb a\u1680b a\u2000b a\u200ab a\u202fb a\u205fb \u3000b \u2028\u2029b",
  "👍🏽 👩🏿‍🚀 🏳️‍🌈 ☃︎ ❤️ 5️⃣ 🇫🇷 a😀b 😀! \U0001f9d1\u200d\U0001f4bb",
  "[MASK][MASK] [mask] [ MASK ] ##[MASK] [UNK]known [CLS]. [unused1] [PAD",
  "pre-fix re—set don't $5.00 a_b c^d `e` 1/2 100% #tag @you ~n | x&y <br/>",
  "×÷±€£¥©®°¬ ←→∑∞≤ ¿¡«»‹› ‐‑‒–—― ‘’‚‛“”„ †‡•‣․‥… ‰′″ ⁂⁄⁅⁆ 、。〃「」",
  "\ufffd\ufffd a\ufffdb \ufffe \uffff \u0378",
  *(f"{c * n} {c * n}." for c in "ax¡é漢Σ가" for n in (99, 100, 101, 200, 201)),
  "e\u0301" * 200 + " " + "e\u0301" * 201 + " " + "\u0301" * 300 + "a",
  "가" * 66 + " " + "가" * 67 + " " + "각" * 66 + " " + "각" * 67,
]


def make_wordpiece(pieces, *, lowercase):
  """Pieces of both cases, so that a cased vocabulary knows some words."""
  capital = [p.capitalize() for p in pieces if p.isalpha()]
  letters = [f"{mark}{c}" for c in "ABCDEFGHIΣÉ가각" for mark in ("", "##")]
  return wordpiece.WordPiece(
    list(dict.fromkeys([*pieces, *capital, *letters])), lowercase=lowercase
  )


def assert_equals_google(tokenizer, texts):
  ids = {piece: id_ for id_, piece in enumerate(tokenizer.pieces)}
  for text, ours in zip(texts, tokenizer.encode(texts), strict=True):
    expected = google_wordpiece.tokenize(
      text, ids, lowercase=tokenizer.lowercase
    )
    assert ours.tolist() == expected, ascii(text)


def without_final_sigma(texts):
  return [text.replace("Σ", "S") for text in texts]


@pytest.mark.parametrize("lowercase", [True, False])
def test_hostile_text_gives_the_ids_of_google(lowercase, trained, real_data):
  texts = without_final_sigma(HOSTILE) if lowercase else HOSTILE
  for pieces in (trained.pieces, published(real_data).pieces):
    assert_equals_google(make_wordpiece(pieces, lowercase=lowercase), texts)


@pytest.mark.parametrize("lowercase", [True, False])
def test_real_text_gives_the_ids_of_google(lowercase, real_data, real_lines):
  pieces = published(real_data).pieces
  tokenizer = make_wordpiece(pieces, lowercase=lowercase)
  assert len(real_lines) > 5_000
  assert_equals_google(tokenizer, real_lines)


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
  tokenizer = make_wordpiece(trained.pieces, lowercase=lowercase)
  assert_equals_google(tokenizer, texts)


def unlike_google(characters, *, lowercase):
  """Characters that are cut otherwise, among letters, marks and spaces."""
  letters = [*"abcdefghijklmnopqrstuvwxyzABCDEFGHIÉé0123456789!,.’“-—ß漢"]
  tokenizer = wordpiece.WordPiece(
    [*SPECIALS, *letters, *(f"##{c}" for c in letters)], lowercase=lowercase
  )
  ids = {piece: id_ for id_, piece in enumerate(tokenizer.pieces)}
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
  """What `WordPiece` says of itself, and no more."""
  known = {"\u166d", "\u1734", "\u1885", "\u1886"}
  unlike = unlike_google(characters, lowercase=lowercase)
  private = {c for c in characters if unicodedata.category(c) == "Co"}
  ideographs = {c for c in characters if "\U0002b820" <= c <= "\U0002b91f"}
  assert private | ideographs <= unlike
  left = unlike - private - ideographs - known
  # Everything else came to Unicode later than the library's tables. Which
  # version that is cannot be asked; it was in none of the old ones.
  old = unicodedata.ucd_3_2_0
  assert not [ascii(c) for c in left if old.category(c) != "Cn"]
  assert {unicodedata.category(c) for c in left} <= {
    *("Mn", "Mc", "Cf"),
    *("Pc", "Pd", "Pe", "Pf", "Pi", "Po", "Ps"),
  }


@pytest.mark.parametrize("lowercase", [True, False])
def test_characters_are_cut_as_google_does_but_for_a_known_few(lowercase):
  # The scripts in which most is written, and samples of everything else.
  codes = [
    *range(0x3100),
    *range(0x3100, 0x110000, 197),
    *range(0x2B810, 0x2B930),
  ]
  characters = [chr(code) for code in codes if not 0xD800 <= code < 0xE000]
  assert_known_differences(characters, lowercase=lowercase)


@pytest.mark.full
@pytest.mark.parametrize("lowercase", [True, False])
def test_all_of_unicode_is_cut_as_google_does_but_for_a_known_few(lowercase):
  codes = [*range(0xD800), *range(0xE000, 0x110000)]
  assert_known_differences(list(map(chr, codes)), lowercase=lowercase)


def test_final_sigma_is_an_inner_one(trained):
  """The one difference that real text shows: `str.lower` knows the rule."""
  pieces = [*SPECIALS, "σας", "σασ", "σα"]
  ours = wordpiece.WordPiece(pieces)
  ids = {piece: id_ for id_, piece in enumerate(pieces)}
  assert ours.encode(["ΣΑΣ σας"])[0].tolist() == [ids["σασ"], ids["σας"]]
  assert google_wordpiece.tokenize("ΣΑΣ σας", ids, lowercase=True) == [
    *(ids["σας"], ids["σας"])
  ]
  # What is lower case already, or not final, is equal.
  assert_equals_google(ours, ["σας", "σασ", "ΣΑ", "σα ΣΑ"])


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


def test_published_vocabulary_on_books_equals_the_library(real_data):
  tokenizer = published(real_data)
  assert tokenizer.vocab_size == 30522
  assert tokenizer.lowercase
  books = real_data / "books" / "valid-00000-of-00001.jsonl.xz"
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
def test_encode_flat_is_encode_in_a_row(kind, learnt):
  tokenizer = learnt[kind, True]
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


@pytest.mark.parametrize("lowercase", [True, False])
@pytest.mark.parametrize("kind", tokenizers.KINDS)
def test_saved_and_pickled_tokenizers_are_the_same(
  kind, lowercase, learnt, tmp_path
):
  tokenizer = learnt[kind, lowercase]
  tokenizer.save(tmp_path / "tokenizer")
  for again in (
    tokenizers.load(tmp_path / "tokenizer"),
    tokenizers.load(tmp_path),  # a store keeps it in a folder of this name
    pickle.loads(pickle.dumps(tokenizer)),
  ):
    assert again.name == kind.removesuffix("_bpe")
    assert again.sha256 == tokenizer.sha256
    assert again.pieces == tokenizer.pieces
    assert again.lowercase is tokenizer.lowercase is lowercase
    for ours, theirs in zip(
      again.encode(ODD), tokenizer.encode(ODD), strict=True
    ):
      np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("kind", tokenizers.KINDS)
def test_a_cased_tokenizer_tells_capitals_and_accents(kind, learnt, tmp_path):
  for lowercase in (True, False):
    tokenizer = learnt[kind, lowercase]
    assert any(p != p.lower() for p in tokenizer.pieces[5:]) != lowercase
    # With decoders that put no spaces in between.
    (ids,) = tokenizer.encode(["The Café naïve"])
    folded = kind == "wordpiece" and lowercase
    assert ("ï" in tokenizer.decode(ids)) != folded
    assert ("T" in tokenizer.decode(ids)) != lowercase
    tokenizer.save(tmp_path)
    config = json.loads((tmp_path / "tokenizer_config.json").read_text())
    assert config["do_lower_case"] is lowercase
    if kind == "wordpiece":
      exchange = json.loads((tmp_path / "tokenizer.json").read_text())
      assert exchange["normalizer"]["lowercase"] is lowercase
      assert load_exchange(tmp_path).sha256 == tokenizer.sha256


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
def test_what_is_learnt_does_not_depend_on_how_text_is_cut(
  kind, learnt, monkeypatch
):
  """From an iterator; in windows; documents joined or apart."""
  size = 200 if kind == "wordpiece" else learnt[kind, True].vocab_size
  expected = learnt[kind, True].sha256
  monkeypatch.setattr(words, "_WINDOW", 11)
  for texts in (iter(TEXTS), ["\n".join(TEXTS)], [" ".join(TEXTS)]):
    assert tokenizers.train(texts, kind, size).sha256 == expected


def test_words_are_counted_in_bounded_memory(monkeypatch):
  counts = words.count_words(["a b a", "c a c"], str.split)
  assert counts == {"a": 3, "b": 1, "c": 2}
  monkeypatch.setattr(words, "MAX_CHARACTERS", 2 * (1 + words.WORD_COST))
  # New ones are passed over when there are as many; known ones count.
  counts = words.count_words(["a b a", "c a c"], str.split)
  assert counts == {"a": 3, "b": 1}
  # As much as is asked for, in whole windows.
  counts = words.count_words(["a b a", "b a b"], str.split, volume=15)
  assert counts == {"a": 2, "b": 1}
  counts = words.count_words(["a b a", "b a b"], str.split, volume=16)
  assert counts == {"a": 3, "b": 3}
  assert words.commonest(counts, 2 * 9) == counts
  assert words.commonest(counts, 9) == {"a": 3}  # of equals the first
  assert "".join(words.repeated(counts)).split() == list("aaabbb")


def test_a_document_on_one_line_is_read_in_windows(monkeypatch):
  monkeypatch.setattr(words, "_WINDOW", 4)
  seen = []

  def find(text):
    seen.append(text)
    return text.split()

  counts = words.count_words(["ab cde fghijklmnop q"], find)
  assert max(map(len, seen)) <= 8
  assert "".join(seen) == "ab cde fghijklmnop q"
  assert counts["ab"] == counts["cde"] == 1


@pytest.mark.parametrize("kind", [*tokenizers.KINDS, "bpe"])
def test_transformers_gives_the_same_ids(kind, learnt, tmp_path):
  transformers = pytest.importorskip(
    "transformers", reason="transformers (extra hf) is not installed"
  )
  if kind == "bpe":
    tokenizer = learn_sentencepiece(TEXTS, model_type="bpe", vocab_size=58)
  else:
    tokenizer = learnt[kind, True]
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


def learn_sentencepiece(texts, **options):
  """A model as others make them, with names that theirs have."""
  model = io.BytesIO()
  settings = {
    **dict(normalization_rule_name="nmt_nfkc_cf", vocab_size=700),
    **dict(pad_id=0, unk_id=1, bos_id=-1, eos_id=-1, minloglevel=2),
    "control_symbols": ["[CLS]", "[SEP]", "<mask>"],
    "hard_vocab_limit": False,
    **options,
  }
  sentencepiece.SentencePieceTrainer.train(
    sentence_iterator=iter(texts), model_writer=model, **settings
  )
  return SentencePiece(model.getvalue())


SPACES = ["▁under ▁▁ two ▁", "▁", "  lead  and   trail  ", " \t x \t ", "漢 字"]
RUNS = [
  f"{end}{mark * count}{end}"
  for mark in ("-", ".", "=", "ha", "the", "!?")
  for count in range(1, 30)
  for end in ("", "x", " ")
]


LEARNT = {
  "unigram": ("sentencepiece", True),
  "cased": ("sentencepiece", False),
  "learnt bpe": ("sentencepiece_bpe", True),
  "learnt bpe, cased": ("sentencepiece_bpe", False),
}


@pytest.mark.parametrize("name", [*LEARNT, *MODELS])
def test_exchanged_sentencepiece_models_give_the_same_ids(name, real_lines):
  lines = [line.replace("\n", " ") for line in real_lines if line.strip()]
  if name in LEARNT:
    kind, lowercase = LEARNT[name]
    # With runs to learn, some of which can be cut in many equal ways.
    tokenizer = tokenizers.train(
      [*lines[:2000], *RUNS], kind, 1_000, lowercase=lowercase
    )
  else:
    tokenizer = learn_sentencepiece(lines[:2000], **MODELS[name])
  assert not tokenizer.no_exchange
  texts = [*ODD, *SPACES, *lines]
  if "cased" in name:
    # Nothing is folded, so that the library finds the names of specials.
    texts = [text for text in texts if "[MASK]" not in text]
  if name.startswith("unigram, "):
    # Only models that are learnt here have scores that break no tie.
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
    ({"treat_whitespace_as_suffix": True}, "spaces end words"),
    ({"user_defined_symbols": ["<BR>"]}, "'<BR>' would be normalised"),
  ],
)
def test_a_model_that_cannot_be_exchanged_says_why(options, reason, tmp_path):
  tokenizer = learn_sentencepiece(TEXTS, **{"vocab_size": 62, **options})
  assert reason in tokenizer.no_exchange
  tokenizer.save(tmp_path)
  assert [path.name for path in tmp_path.iterdir()] == ["spiece.model"]
  again = tokenizers.load(tmp_path)
  assert again.sha256 == tokenizer.sha256
  text = "the quick brown fox jumps over the lazy dog, again and again."
  assert again.decode(again.encode([text])[0]) == text


def test_a_model_without_special_pieces_is_refused():
  message = r"the model has no \[CLS\] or <cls> or <s>; a vocabulary needs"
  with pytest.raises(ValueError, match=message):
    learn_sentencepiece(TEXTS, vocab_size=60, control_symbols=["<mask>"])


def test_a_symbol_for_masks_is_not_read_from_a_text():
  tokenizer = learn_sentencepiece(
    TEXTS,
    control_symbols=["[CLS]", "[SEP]"],
    user_defined_symbols=["[MASK]"],
    normalization_rule_name="identity",
    vocab_size=80,
  )
  assert tokenizer.mask_id == tokenizer.pieces.index("[MASK]")
  (ids,) = tokenizer.encode(["a [MASK] again"])
  assert tokenizer.mask_id not in ids
  (again,) = pickle.loads(pickle.dumps(tokenizer)).encode(["a [MASK] again"])
  assert again.tolist() == ids.tolist()


def test_bytes_are_pieces_of_words_and_decode_to_text():
  tokenizer = learn_sentencepiece(TEXTS, vocab_size=330, byte_fallback=True)
  (ids,) = tokenizer.encode(["over 漢字, again 😀"])
  assert tokenizer.unk_id not in ids
  assert tokenizer.decode(ids) == "over 漢字, again 😀"
  mixed = [tokenizer.mask_id, *ids[-5:], tokenizer.sep_id]
  assert tokenizer.decode(mixed) == "<mask> 😀 [SEP]"
  table = tokenizer.vocabulary()
  byte = tokenizer.pieces.index("<0xE6>")
  assert table.continues_V[byte]
  assert byte in table.ordinary_W
  specials = [tokenizer.pieces[i] for i in np.flatnonzero(table.special_V)]
  assert sorted(specials) == ["<mask>", "<pad>", "<unk>", "[CLS]", "[SEP]"]


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
  for lowercase in (True, False):
    text = [_read(path)] * 2
    print(tokenizers.train(text, kind, 900, lowercase=lowercase).sha256)
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
  assert len(set(runs.pop().split())) == 2 * len(tokenizers.KINDS)


def test_vocabulary_tables(real_data, spm):
  tokenizer = published(real_data)
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
