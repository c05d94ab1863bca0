# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Tokenizers of Hugging Face folders: the same ids, or a line that says why."""

import json

import pytest

from data_pipelines.tokenizers.huggingface_import import load_huggingface
from data_pipelines.tokenizers.wordpiece import WordPiece

TOKENS = (
  *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
  *("the", "cod", "##s", "Cod", "é", "e", ",", "東", "京"),
)
TEXTS = ("the Cod, the cods", "É é 東京", "codx  the\tthe", "The THE")


def write(folder, *, lowercase=True, tokens=TOKENS):
  folder.mkdir()
  WordPiece(tokens, lowercase=lowercase).save(folder)
  return folder


def change(path, **fields):
  """Replace fields of a JSON file; "a.b" is of the object a."""
  whole = json.loads(path.read_text())
  for name, value in fields.items():
    place, *inner = name.split("__")
    if inner:
      whole[place][inner[0]] = value
    else:
      whole[place] = value
  path.write_text(json.dumps(whole))


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
      "tokenizer.json",
      {"normalizer__strip_accents": False},
      "strip_accents=False; with lowercase=True only True",
    ),
    (
      "tokenizer_config.json",
      {"tokenize_chinese_chars": False},
      "says tokenize_chinese_chars=False and",
    ),
    (
      "tokenizer.json",
      {"added_tokens": [{"id": 14, "content": "[ENT]"}]},
      r"matches \[ENT\] before it splits words",
    ),
    (
      "tokenizer.json",
      {"added_tokens": [{"id": 6, "content": "cod"}]},
      "matches cod before it splits words",
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


def test_pieces_added_beside_a_vocabulary_are_refused(tmp_path):
  folder = write(tmp_path / "t")
  (folder / "tokenizer.json").unlink()
  (folder / "added_tokens.json").write_text('{"[ENT]": 14}')
  with pytest.raises(ValueError, match=r"matches \[ENT\] before"):
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
