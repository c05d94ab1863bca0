# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Tokenizers of Hugging Face folders: the same ids, or a line that says why."""

import pytest

from data_pipelines.tokenizers import tokenizers
from data_pipelines.tokenizers.huggingface_import import load_huggingface
from data_pipelines.tokenizers.wordpiece import WordPiece
from data_pipelines.tokenizers.wordpiece_rules import Rules
from tests.testing.tokenizer_folders import CONFIG, FAST, TOKENS, change, write

TEXTS = ("the Cod, the cods", "É é 東京", "codx  the\tthe", "The THE")


@pytest.mark.parametrize("lowercase", [True, False])
@pytest.mark.parametrize("without", ["nothing", "vocab.txt", "tokenizer.json"])
def test_either_file_is_enough(lowercase, without, tmp_path):
  folder = write(tmp_path / "t", lowercase=lowercase)
  expected = WordPiece(TOKENS, lowercase=lowercase)
  (folder / without).unlink(missing_ok=True)
  tokenizer = load_huggingface(folder)
  assert tokenizer.sha256 == expected.sha256


@pytest.mark.parametrize("lowercase", [True, False])
def test_a_tokenizer_of_transformers_is_read(lowercase, tmp_path):
  transformers = pytest.importorskip(
    "transformers", reason="transformers (extra hf) is not installed"
  )
  theirs = transformers.BertTokenizer(
    {token: id_ for id_, token in enumerate(TOKENS)}, do_lower_case=lowercase
  )
  theirs.save_pretrained(tmp_path)
  tokenizer = load_huggingface(tmp_path)
  assert tokenizer.lowercase == lowercase
  for text, ids in zip(TEXTS, tokenizer.encode(TEXTS), strict=True):
    assert ids.tolist() == theirs(text, add_special_tokens=False)["input_ids"]


def test_a_vocabulary_alone_tells_its_case_by_its_capitals(tmp_path):
  folder = write(tmp_path / "t")
  for name in ("tokenizer.json", "tokenizer_config.json"):
    (folder / name).unlink()
  assert not load_huggingface(folder).lowercase


def test_a_folder_without_a_tokenizer_is_named(tmp_path):
  with pytest.raises(ValueError, match=r"no tokenizer; give vocab.txt, tok"):
    load_huggingface(tmp_path)


@pytest.mark.parametrize("kept", ["vocab.txt", "tokenizer.json"])
def test_all_missing_special_pieces_are_named(kept, tmp_path):
  folder = write(tmp_path / "t")
  if kept == "vocab.txt":
    (folder / "tokenizer.json").unlink()
    lines = [p for p in TOKENS if p not in ("[MASK]", "[CLS]")]
    (folder / kept).write_text("\n".join(lines) + "\n")
  else:
    (folder / "vocab.txt").unlink()
    vocabulary = {
      f"x{p}" if id_ in (2, 4) else p: id_ for id_, p in enumerate(TOKENS)
    }
    change(folder / kept, model__vocab=vocabulary, added_tokens=[])
  with pytest.raises(ValueError, match=r"has no \[CLS\], \[MASK\]; a vocab"):
    load_huggingface(folder)


@pytest.mark.parametrize(
  ("file", "fields", "message"),
  [
    ("tokenizer.json", {"model__type": "BPE"}, "model type is BPE; only Word"),
    ("tokenizer.json", {"pre_tokenizer": None}, "pre_tokenizer type is None"),
    (
      "tokenizer.json",
      {"normalizer__lowercase": False},
      r"says do_lower_case=True and tokenizer.json lowercase=False",
    ),
    (
      "tokenizer_config.json",
      {"tokenize_chinese_chars": False},
      "says tokenize_chinese_chars=False and",
    ),
    (
      "tokenizer.json",
      {"added_tokens": [{"id": 15, "content": "[ENT]"}]},
      r"added token '\[ENT\]' has id 15, and tokenizers would give it id 14",
    ),
    (
      "tokenizer.json",
      {"added_tokens": [{"id": 7, "content": "cod"}]},
      "added token 'cod' has id 7, and tokenizers would give it id 6",
    ),
    (
      "tokenizer.json",
      {"model__vocab": {p: 2 * i for i, p in enumerate(TOKENS)}},
      "are not numbered 0, 1, 2",
    ),
    (
      "tokenizer.json",
      {
        "model__vocab": {p: i for i, p in enumerate(reversed(TOKENS))},
        "added_tokens": [],
      },
      "have different tokens",
    ),
  ],
)
def test_what_would_give_other_ids_is_refused(file, fields, message, tmp_path):
  folder = write(tmp_path / "t")
  change(folder / file, **fields)
  with pytest.raises(ValueError, match=message) as caught:
    load_huggingface(folder)
  assert "\n" not in str(caught.value)


def test_tokens_added_beside_a_vocabulary_have_ids(tmp_path):
  folder = write(tmp_path / "t")
  (folder / "tokenizer.json").unlink()
  (folder / "added_tokens.json").write_text('{"[ENT]": 14}')
  assert load_huggingface(folder).encode(["a[ENT]"])[0].tolist() == [1, 14]
  (folder / "added_tokens.json").write_text('{"[ENT]": "14"}')
  with pytest.raises(ValueError, match=r"'\[ENT\]': '14'; give a number"):
    load_huggingface(folder)


@pytest.mark.parametrize("vocabulary", [None, [1], {"a": "x", "b": 1}])
def test_a_tokenizer_without_numbered_pieces_is_one_line(vocabulary, tmp_path):
  folder = write(tmp_path / "t")
  change(folder / "tokenizer.json", model__vocab=vocabulary)
  with pytest.raises(ValueError, match="are not numbered 0, 1, 2"):
    load_huggingface(folder)


def test_pieces_tell_their_case_without_a_vocab_txt(tmp_path):
  folder = write(tmp_path / "t")
  for name in ("vocab.txt", "tokenizer_config.json"):
    (folder / name).unlink()
  change(folder / "tokenizer.json", normalizer__lowercase=None)
  assert not load_huggingface(folder).lowercase


def test_a_file_that_is_no_object_is_named(tmp_path):
  folder = write(tmp_path / "t")
  (folder / "tokenizer.json").write_text("[")
  with pytest.raises(ValueError, match=r"tokenizer.json is not a JSON object"):
    load_huggingface(folder)


def test_accents_are_kept_where_the_folder_says_so(tmp_path):
  """As published German models do, with vocab.txt and a config alone."""
  tokens = [*TOKENS[:5], "schön", "schon", "müller"]
  (tmp_path / "vocab.txt").write_text("\n".join(tokens) + "\n", "utf-8")
  (tmp_path / "tokenizer_config.json").write_text(
    '{"do_lower_case": true, "strip_accents": false}'
  )
  for tokenizer in (load_huggingface(tmp_path), tokenizers.load(tmp_path)):
    assert tokenizer.encode(["Schön schon Müller"])[0].tolist() == [5, 6, 7]
    assert tokenizer.strip_accents is False
    assert tokenizer.sha256 != WordPiece(tokens).sha256


RULES = (
  Rules(lowercase=True, strip_accents=False),
  Rules(lowercase=False, strip_accents=True),
  Rules(split_ideographs=False),
  Rules(clean=False),
  Rules(normalization="nfc", strip_accents=False),
  Rules(lowercase=False, normalization="nfkc"),
)


@pytest.mark.parametrize("rules", RULES, ids=str)
@pytest.mark.parametrize("without", ["nothing", "vocab.txt", "tokenizer.json"])
def test_rules_are_saved_in_either_file(rules, without, tmp_path):
  WordPiece(TOKENS, rules=rules).save(tmp_path)
  (tmp_path / without).unlink(missing_ok=True)
  for load in (load_huggingface, tokenizers.load):
    again = load(tmp_path)
    assert isinstance(again, WordPiece)
    assert again.rules == rules
    assert again.sha256 == WordPiece(TOKENS, rules=rules).sha256


@pytest.mark.parametrize("rules", RULES, ids=str)
def test_transformers_follows_the_rules_that_were_saved(rules, tmp_path):
  transformers = pytest.importorskip(
    "transformers", reason="transformers (extra hf) is not installed"
  )
  ours = WordPiece(TOKENS, rules=rules)
  ours.save(tmp_path)
  theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
  texts = [*TEXTS, "e\u0301 É\u0301", "東京x東", "co\x07d co\u200dd", "ｃｏｄ"]
  for text, ids in zip(texts, ours.encode(texts), strict=True):
    expected = theirs(text, add_special_tokens=False)["input_ids"]
    assert ids.tolist() == expected, ascii(text)


@pytest.mark.parametrize("load", [load_huggingface, tokenizers.load])
@pytest.mark.parametrize(
  ("key", "value", "allowed"),
  [
    ("strip_accents", "no", "give True or False"),
    ("do_lower_case", 1, "give True or False"),
    ("normalization", "nfd", "give none or nfc or nfkc"),
  ],
)
def test_a_rule_has_known_values(load, key, value, allowed, tmp_path):
  folder = write(tmp_path / "t")
  (folder / FAST).unlink()
  change(folder / CONFIG, **{key: value})
  with pytest.raises(ValueError, match=f"says {key}={value!r}; {allowed}"):
    load(folder)


def test_the_map_of_special_tokens_is_read(tmp_path):
  folder = write(tmp_path / "t")
  file = folder / "special_tokens_map.json"
  file.write_text('{"cls_token": "[CLS]", "mask_token": {"content": "[MASK]"}}')
  assert load_huggingface(folder).sha256 == WordPiece(TOKENS).sha256
  file.write_text('{"unk_token": "<unk>"}')
  with pytest.raises(ValueError, match=r"unk_token is <unk>; the special tok"):
    load_huggingface(folder)


def test_a_sentencepiece_model_does_not_fold_what_its_folder_says(
  spm, tmp_path
):
  spm.save(tmp_path)
  assert load_huggingface(tmp_path).sha256 == spm.sha256
  change(tmp_path / CONFIG, do_lower_case=False)
  with pytest.raises(ValueError, match=r"do_lower_case=False, which spiece"):
    load_huggingface(tmp_path)


# Lengths around the limits of transformers, 100, and google-research/bert, 200.
LENGTHS = (99, 100, 101, 150, 200, 201)
LETTERS = (*TOKENS[:5], "y", "##y", "é", "##é")


def long_words():
  """Words of ASCII, in capitals and of other letters, alone and with a mark."""
  words = [letter * length for letter in "yYé" for length in LENGTHS]
  return [*words, *(f"y, {word}; y" for word in words)]


@pytest.mark.parametrize("limit", [100, 150, 200])
def test_the_longest_word_is_that_of_the_folder(limit, tmp_path):
  """Also after the tokenizer has been written, and read from either file."""
  backend = pytest.importorskip("tokenizers").Tokenizer
  folder = write(tmp_path / "t", tokens=LETTERS)
  (folder / CONFIG).unlink()
  change(folder / FAST, model__max_input_chars_per_word=limit)
  tokenizer = load_huggingface(folder)
  theirs = backend.from_file(str(folder / FAST))
  words = long_words()
  for word, ids in zip(words, tokenizer.encode(words), strict=True):
    expected = theirs.encode(word, add_special_tokens=False).ids
    assert ids.tolist() == expected, (limit, word)
  unknown = [tokenizer.unk_id]
  found = [tokenizer.encode(["y" * n])[0].tolist() == unknown for n in LENGTHS]
  assert found == [length > limit for length in LENGTHS]
  tokenizer.save(tmp_path / "again")
  (tmp_path / "again/vocab.txt").unlink()
  again = tokenizers.load(tmp_path / "again")
  assert again.sha256 == tokenizer.sha256
  tokenizer.save(tmp_path / "again")
  (tmp_path / "again" / FAST).unlink()
  assert tokenizers.load(tmp_path / "again").sha256 == tokenizer.sha256


def test_the_longest_word_is_that_of_who_wrote_the_folder(tmp_path):
  """A vocab.txt alone is Google's; transformers writes JSON files beside it."""
  transformers = pytest.importorskip(
    "transformers", reason="transformers (extra hf) is not installed"
  )
  (tmp_path / "vocab.txt").write_text("\n".join(LETTERS) + "\n", "utf-8")
  google = load_huggingface(tmp_path)
  assert google.sha256 == WordPiece(LETTERS).sha256
  for name, text in (("config.json", '{"model_type": "bert"}'), (CONFIG, "{}")):
    (tmp_path / name).write_text(text)
    ours = load_huggingface(tmp_path)
    theirs = transformers.BertTokenizer.from_pretrained(tmp_path)
    words = long_words()
    for word, ids in zip(words, ours.encode(words), strict=True):
      expected = theirs(word, add_special_tokens=False)["input_ids"]
      assert ids.tolist() == expected, (name, word)
    (tmp_path / name).unlink()


@pytest.mark.parametrize("limit", [100, 200])
def test_transformers_stops_at_the_limit_that_was_saved(limit, tmp_path):
  transformers = pytest.importorskip(
    "transformers", reason="transformers (extra hf) is not installed"
  )
  ours = WordPiece(LETTERS, rules=Rules(max_word=limit))
  ours.save(tmp_path)
  theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
  words = long_words()
  for word, ids in zip(words, ours.encode(words), strict=True):
    expected = theirs(word, add_special_tokens=False)["input_ids"]
    assert ids.tolist() == expected, (limit, word)


@pytest.mark.parametrize("limit", [0, -1, True, "100", 1.5])
def test_a_limit_is_a_number_of_characters(limit, tmp_path):
  folder = write(tmp_path / "t")
  (folder / CONFIG).unlink()
  change(folder / FAST, model__max_input_chars_per_word=limit)
  with pytest.raises(ValueError, match=r"per_word=.*; give a number of char"):
    load_huggingface(folder)


def test_two_files_agree_on_the_limit(tmp_path):
  folder = write(tmp_path / "t")
  change(folder / FAST, model__max_input_chars_per_word=100)
  with pytest.raises(ValueError, match=r"per_word=200 and tokenizer.json max"):
    load_huggingface(folder)
