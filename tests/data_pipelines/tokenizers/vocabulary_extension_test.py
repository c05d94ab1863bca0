# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""New tokens shorten the text, know their parts, and move no old token."""

import json
import random
import subprocess
import sys

import pytest

from data_pipelines.tokenizers import (
  tokenizers,
  vocabulary_extension,
)
from data_pipelines.tokenizers.special_tokens import SPECIALS
from data_pipelines.tokenizers.vocabulary_extension import (
  extend,
  find_parts,
  keep_record,
  load_extension,
)
from data_pipelines.tokenizers.wordpiece import WordPiece

LETTERS = "abcdefghijklmnopqrstuvwxyz"
OLD = (
  *("[PAD]", "[unused0]", "[unused1]", *SPECIALS[1:], "[unused7]"),
  *LETTERS,
  *(f"##{letter}" for letter in LETTERS),
  *("the", "cell", "##s", "##ing", "heart", "anti", "##body", "."),
)
OLD = tuple(dict.fromkeys(OLD))
TEXTS = [
  "the antibody binds. the antibodies bind myocytes. the cells.",
  "Troponin and troponin in myocytes; the heart cell.",
  "binding troponin, binding antibody",
] * 3


@pytest.fixture(scope="module")
def old():
  return WordPiece(OLD)


@pytest.fixture(scope="module")
def extension(old):
  return extend(old, TEXTS, 6)


def count_tokens(tokenizer, texts):
  return len(tokenizer.encode_flat(texts)[0])


def random_texts(seed):
  """Words of few syllables, so that tokens overlap in every way."""
  rng = random.Random(seed)
  parts = ["an", "ti", "bo", "dy", "s", "ing", "a", "b", "é", "nt", "ib", "."]
  word = lambda: "".join(rng.choices(parts, k=rng.randrange(1, 6)))
  return [" ".join(word() for _ in range(30)) for _ in range(20)]


def test_old_tokens_keep_their_ids_and_unused_ids_go_first(old, extension):
  made, parts = extension.tokenizer, extension.parts
  for id_, token in enumerate(old.tokens):
    assert (made.tokens[id_] == token) == (id_ not in parts)
  slots = [i for i, p in enumerate(old.tokens) if p.startswith("[unused")]
  assert list(parts) == [*slots, *range(old.vocab_size, made.vocab_size)]
  assert made.vocab_size == old.vocab_size + len(parts) - len(slots)
  assert made.lowercase is old.lowercase
  assert extension.parent_sha256 == old.sha256 != made.sha256
  # Six were asked for, and the longest word that is common saves most.
  assert len(parts) == 6
  assert made.tokens[1] == "troponin"
  assert not extension.shortage


def test_each_new_token_knows_the_tokens_of_its_parent(old, extension):
  for id_, ids in extension.parts.items():
    token = extension.tokenizer.tokens[id_]
    if token.startswith("##"):
      # The inside of a word: behind a letter that takes nothing of it.
      (expected,) = old.encode(["q" + token[2:]])
      assert list(ids) == expected.tolist()[1:]
    else:
      assert list(ids) == old.encode([token])[0].tolist()
    assert old.unk_id not in ids
    assert len(ids) > 1


@pytest.mark.parametrize("seed", range(6))
def test_a_sample_never_gets_more_tokens(seed, old):
  texts = random_texts(seed)
  before = count_tokens(old, texts)
  for count in (1, 5, 40):
    made = extend(old, texts, count)
    assert count_tokens(made.tokenizer, texts) <= before
    used = set(made.tokenizer.encode_flat(texts)[0].tolist())
    assert made.parts.keys() <= used  # none is there for nothing
    assert made.before.tokens == before
    assert made.after.tokens == count_tokens(made.tokenizer, texts)
    assert made.after.unknown <= made.before.unknown
    assert made.after.fertility <= made.before.fertility


def test_an_unknown_word_is_worth_a_token_that_makes_it_known(old):
  """It shortens nothing; its part is the unknown token."""
  made = extend(old, ["the β cells " * 5], 3)
  assert [made.tokenizer.tokens[id_] for id_ in made.parts] == ["cells", "β"]
  assert list(made.parts.values())[1] == (old.unk_id,)
  assert (made.before.unknown, made.after.unknown) == (5, 0)


def test_texts_without_new_tokens_have_the_same_ids(old, extension):
  texts = ["the heart", "Thing. body", "ant anti", "", "q-z"]
  ids = [ids.tolist() for ids in old.encode(texts)]
  assert [i.tolist() for i in extension.tokenizer.encode(texts)] == ids
  for sentence in ids:
    assert extension.tokenizer.decode(sentence) == old.decode(sentence)
  text = "troponin binding antibodies."
  for tokenizer in (old, extension.tokenizer):
    assert tokenizer.decode(tokenizer.encode([text])[0]) == text


def test_an_extension_is_read_as_it_was_written(extension, tmp_path):
  extension.save(tmp_path / "a")
  again = load_extension(tmp_path / "a")
  assert again is not None
  assert again.tokenizer.tokens == extension.tokenizer.tokens
  for name in ("parent_sha256", "parts", "asked", "before", "after"):
    assert getattr(again, name) == getattr(extension, name)
  again.save(tmp_path / "b")
  for path in (tmp_path / "a").iterdir():
    assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
  record = json.loads((tmp_path / "a" / "extension.json").read_text())
  assert record["before"]["fertility"] > record["after"]["fertility"] > 1
  assert tokenizers.load(tmp_path / "a").sha256 == extension.tokenizer.sha256


def test_only_the_direct_parent_has_the_parts(old, extension, tmp_path):
  extension.save(tmp_path / "child")
  second = extend(extension.tokenizer, ["zebra quagga okapi " * 4], 3)
  second.save(tmp_path / "grandchild")
  sha256 = extension.tokenizer.sha256
  assert find_parts(tmp_path / "child", old.sha256) == extension.parts
  assert find_parts(tmp_path / "grandchild", sha256) == second.parts
  assert find_parts(tmp_path / "grandchild", old.sha256) == {}
  old.save(tmp_path / "old")
  assert find_parts(tmp_path / "old", old.sha256) == {}
  assert load_extension(tmp_path / "old") is None


def test_the_record_of_the_parent_is_copied_with_the_tokenizer(
  old, extension, tmp_path
):
  extension.save(tmp_path / "store" / "tokenizer")
  for number, source in enumerate(
    ("store", "store/tokenizer", "store/tokenizer/vocab.txt")
  ):
    folder = tmp_path / str(number)
    tokenizers.load(tmp_path / source).save(folder)
    keep_record(tmp_path / source, folder)
    assert find_parts(folder, old.sha256) == extension.parts
  old.save(tmp_path / "old")
  keep_record(tmp_path / "old", tmp_path / "old")
  assert load_extension(tmp_path / "old") is None


@pytest.mark.parametrize(
  ("change", "message"),
  [
    ({"sha256": "0"}, "belongs to another tokenizer than the one beside it"),
    ({"parts": [1]}, "cannot be read; extend"),
    ({"before": {}}, "cannot be read; extend"),
  ],
)
def test_a_damaged_record_is_refused(change, message, extension, tmp_path):
  extension.save(tmp_path)
  path = tmp_path / vocabulary_extension.RECORD
  path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
  with pytest.raises(ValueError, match=message):
    load_extension(tmp_path)
  path.write_text("{")
  with pytest.raises(ValueError, match="cannot be read"):
    find_parts(tmp_path, "x")


def test_fewer_tokens_than_asked_for_are_a_warning(old, caplog):
  made = extend(old, ["the troponin troponin heart"], 50)
  assert 0 < len(made.parts) < 50
  assert f"only {len(made.parts)} new tokens" in made.shortage
  assert made.shortage in caplog.text


def test_what_cannot_be_extended_is_refused(old):
  spm = tokenizers.train(TEXTS, "sentencepiece", 36)
  with pytest.raises(ValueError, match=r"give a WordPiece vocabulary, or lea"):
    extend(spm, TEXTS, 6)
  with pytest.raises(ValueError, match="extend_vocab=0; give at least 1"):
    extend(old, TEXTS, 0)
  with pytest.raises(ValueError, match="corpus has no words; give another"):
    extend(old, ["", " \n"], 6)
  with pytest.raises(ValueError, match="leave extend_vocab out"):
    extend(old, ["the heart cell. anti"], 6)


def test_a_cased_vocabulary_gets_cased_tokens():
  cased = WordPiece([*OLD, "T", "##T"], lowercase=False)
  made = extend(cased, ["Tx xT Tx xT Tx"] * 3, 2)
  assert [made.tokenizer.tokens[i] for i in made.parts] == ["Tx", "xT"]
  assert not made.tokenizer.lowercase


SCRIPT = """
import sys
from tests.data_pipelines.tokenizers.vocabulary_extension_test import *
made = extend(WordPiece(OLD), random_texts(0) + TEXTS, 30)
print(made.tokenizer.sha256, made.parts)
"""


def test_extending_is_reproducible_across_processes():
  runs = {
    subprocess.run(
      [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True
    ).stdout
    for _ in range(3)
  }
  assert len(runs) == 1
