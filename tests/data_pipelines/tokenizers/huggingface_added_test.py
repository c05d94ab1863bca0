# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Added tokens: one id each, as in transformers, out and back again."""

import itertools
import json
import pickle

import numpy as np
import pytest

from data_pipelines.tokenizers import tokenizers
from data_pipelines.tokenizers.added_tokens import AddedToken, AddedTokensError
from data_pipelines.tokenizers.huggingface_import import load_huggingface
from tests.testing.tokenizer_folders import CONFIG, FAST, TOKENS, change, write

WORDS = (*TOKENS, *"[]<>1us", "new", "##new", "a", "##a", "word", "##word")
SPECIAL = ("[E1]", "<user>", "[1 1]")
# Content → the flags that differ from the library's defaults.
ORDINARY = {
  "newword": {},
  "Éa": {},
  "Wordy": {"normalized": False},
  "left": {"lstrip": True, "single_word": True},
  "right": {"rstrip": True, "normalized": False},
  "Alone": {"single_word": True},
  "##s": {"normalized": False},
  "the": {"single_word": True},
  "東": {},
}


def make_texts(names):
  """Write each token at the ends of words, inside of them, twice, folded."""
  forms = "{0}", "the {0} cod", "{0} {0}{0}", "a{0}a {0}s", "cod, {0}.", "_{0}"
  texts = ["", "the cods", "a\nthe\tcod"]
  for name in names:
    cases = dict.fromkeys([name, name.upper(), name.lower(), name + "\u0301"])
    texts += [form.format(case) for form in forms for case in cases]
  texts += ["".join(pair) for pair in itertools.product(names, repeat=2)]
  texts += [f"a  {x} \n {y}  a" for x, y in itertools.product(names, repeat=2)]
  return [*texts, "n\u00adew\u0000word", "\ufeffnewword", "東京 東", "é a Éa"]


@pytest.fixture(name="transformers", scope="module")
def _transformers():
  return pytest.importorskip(
    "transformers", reason="transformers (extra hf) is not installed"
  )


@pytest.fixture(name="theirs", params=[True, False], ids=["uncased", "cased"])
def _theirs(request, transformers):
  library = pytest.importorskip("tokenizers")
  theirs = transformers.BertTokenizerFast(
    {token: id_ for id_, token in enumerate(WORDS)},
    do_lower_case=request.param,
  )
  theirs.add_special_tokens({"additional_special_tokens": list(SPECIAL)})
  theirs.add_tokens(
    [library.AddedToken(name, **flags) for name, flags in ORDINARY.items()]
  )
  return theirs


def check_equal(ours, theirs, texts):
  expected = theirs(texts, add_special_tokens=False)["input_ids"]
  with_offsets = ours.encode_with_offsets(texts)
  for text, ids, each, wanted in zip(
    texts, ours.encode(texts), with_offsets, expected, strict=True
  ):
    assert ids.tolist() == wanted, ascii(text)
    assert each.ids_T.tolist() == wanted, ascii(text)
    assert ours.encode([text])[0].tolist() == wanted, ascii(text)


def test_every_text_is_split_as_by_transformers(theirs, transformers, tmp_path):
  texts = make_texts([*SPECIAL, *ORDINARY])
  theirs.save_pretrained(tmp_path / "theirs")
  ours = load_huggingface(tmp_path / "theirs")
  check_equal(ours, theirs, texts)
  assert ours.vocab_size == len(theirs)
  ours.save(tmp_path / "ours")
  back = transformers.AutoTokenizer.from_pretrained(tmp_path / "ours")
  check_equal(ours, back, texts)
  assert len(back) == len(theirs)
  assert set(SPECIAL) <= set(back.all_special_tokens)
  for without in ("nothing", FAST, "vocab.txt"):
    (tmp_path / "ours" / without).unlink(missing_ok=True)
    again = tokenizers.load(tmp_path / "ours")
    assert (again.sha256, again.added) == (ours.sha256, ours.added)
    ours.save(tmp_path / "ours")
  check_equal(pickle.loads(pickle.dumps(ours)), theirs, texts)


def write_older(folder, theirs, form):
  """Write the files that transformers 4 wrote for a tokenizer of 5."""
  theirs.save_pretrained(folder)
  (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n", "utf-8")
  settings = json.loads((folder / CONFIG).read_text())
  described = json.loads((folder / FAST).read_text())["added_tokens"]
  names = settings.pop("extra_special_tokens")
  added = {t["content"]: t["id"] for t in described if t["id"] >= len(WORDS)}
  decoder = {str(t.pop("id")): t for t in described}
  if form == "described":  # a slow tokenizer of 4.34 to 4.57
    settings["added_tokens_decoder"] = decoder
    settings["additional_special_tokens"] = names
    names = [t for t in decoder.values() if t["content"] in names]
    for token in names:
      del token["special"]
  if form != "fast":  # 4.33 and earlier
    (folder / FAST).unlink()
  if form != "listed":
    (folder / "added_tokens.json").write_text(json.dumps(added))
  (folder / "special_tokens_map.json").write_text(
    json.dumps({"additional_special_tokens": names, "cls_token": "[CLS]"})
  )
  (folder / CONFIG).write_text(json.dumps(settings))


@pytest.mark.parametrize("form", ["described", "fast", "numbered", "listed"])
def test_folders_of_transformers_4_are_read(
  form, theirs, transformers, tmp_path
):
  write_older(tmp_path / "t", theirs, form)
  ours = load_huggingface(tmp_path / "t")
  read = transformers.BertTokenizerFast.from_pretrained(tmp_path / "t")
  names = [*SPECIAL, *ORDINARY]
  if form == "listed":
    names = SPECIAL
  texts = make_texts(names)
  if form == "numbered":  # transformers 5 folds these names, and 4 did not
    folded = {"[e1]", "<USER>"}
    texts = [t for t in texts if not any(name in t for name in folded)]
  check_equal(ours, read, texts)
  assert ours.vocab_size == len(read)


def test_a_special_token_is_neither_masked_nor_drawn(theirs, tmp_path):
  theirs.save_pretrained(tmp_path)
  ours = load_huggingface(tmp_path)
  vocabulary = ours.vocabulary()
  special = {ours.tokens.index(name) for name in SPECIAL}
  assert special == {token.id for token in ours.added if token.special}
  assert special <= {*np.flatnonzero(vocabulary.special_V)}
  assert not special & {*vocabulary.ordinary_W.tolist()}
  ordinary = {ours.tokens.index(name) for name in ORDINARY}
  assert ordinary <= {*vocabulary.ordinary_W.tolist()}
  assert not vocabulary.special_V[[*ordinary]].any()
  assert ours.decode(sorted(special)) == theirs.decode(sorted(special))


def added(content, id_, **flags):
  return {"id": id_, **AddedToken(id_, content, **flags).fields()}


@pytest.mark.parametrize("load", [load_huggingface, tokenizers.load])
@pytest.mark.parametrize(
  ("file", "fields", "message"),
  [
    (FAST, {"added_tokens": [added("[E1]", 15)]}, "'.E1.' has id 15.* id 14"),
    (FAST, {"added_tokens": [added("cod", 14)]}, "'cod' has id 14.* id 6; num"),
    (FAST, {"added_tokens": [added("", 14)]}, "'' is empty"),
    (
      FAST,
      {"added_tokens": [added("x", 14), added("x", 15)]},
      "describe the added token 'x' differently, as id 14 .normalized. and id",
    ),
    (FAST, {"added_tokens": [added("\u0007", 14)]}, "is empty when it is"),
    (FAST, {"added_tokens": [{"content": "x"}]}, "with id None is not underst"),
    (FAST, {"added_tokens": [{**added("x", 14), "y": 1}]}, "is not understood"),
    (
      CONFIG,
      {"added_tokens_decoder": {"a": {"content": "x"}}},
      "with id 'a' i",
    ),
    (
      CONFIG,
      {"added_tokens_decoder": {"14": added("x", 14, lstrip=1)}},
      "is not understood; give content, a number as id",
    ),
    (
      CONFIG,
      {"extra_special_tokens": ["[E1]"], "split_special_tokens": True},
      r"makes plain text of \[E1\]; remove the key",
    ),
  ],
)
def test_what_cannot_be_matched_equally_is_one_line(
  load, file, fields, message, tmp_path
):
  folder = write(tmp_path / "t")
  change(folder / file, **fields)
  with pytest.raises(AddedTokensError, match=message) as caught:
    load(folder)
  assert "\n" not in str(caught.value)
  assert load_huggingface(folder, drop_added=True).added == ()


def test_two_files_that_describe_a_token_agree(tmp_path):
  folder = write(tmp_path / "t")
  change(folder / FAST, added_tokens=[added("x", 14)])
  change(folder / CONFIG, added_tokens_decoder={"14": added("x", 14)})
  assert load_huggingface(folder).added == (AddedToken(14, "x"),)
  change(
    folder / CONFIG, added_tokens_decoder={"14": added("x", 14, rstrip=True)}
  )
  with pytest.raises(AddedTokensError, match=r"as id 14 \(normalized\) and id"):
    load_huggingface(folder)


def test_a_sentencepiece_model_gets_no_tokens(spm, tmp_path):
  for name, text in (
    ("added_tokens.json", '{"[E1]": 99}'),
    (CONFIG, '{"additional_special_tokens": ["[E1]"]}'),
    (FAST, '{"added_tokens": [{"content": "[E1]", "id": 99}]}'),
  ):
    folder = tmp_path / name
    spm.save(folder)
    (folder / name).write_text(text)
    with pytest.raises(AddedTokensError, match=r"matches \[E1\] before it spl"):
      load_huggingface(folder)
    assert load_huggingface(folder, drop_added=True).sha256 == spm.sha256
