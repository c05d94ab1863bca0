# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Byte-level BPE in folders of transformers: equal ids, or a line with why."""

import json

import pytest
from tokenizers import Tokenizer

from data_pipelines.tokenizers import kinds, tokenizers
from data_pipelines.tokenizers.huggingface_import import load_huggingface
from data_pipelines.tokenizers.huggingface_template import make_processor
from data_pipelines.tokenizers.template import Template
from tests.testing.byte_texts import LEARNED
from tests.testing.tokenizer_folders import change

FAST, CONFIG = "tokenizer.json", "tokenizer_config.json"
SPECIALS = "special_tokens_map.json"


@pytest.fixture(scope="module")
def made():
  return {
    kind: tokenizers.train(LEARNED, kind, 300) for kind in kinds.BYTE_LEVEL
  }


@pytest.fixture
def folder(made, tmp_path):
  made["roberta"].save(tmp_path)
  return tmp_path


def test_a_tokenizer_of_transformers_is_read(made, tmp_path):
  """What its RobertaTokenizer writes, from a vocabulary and merges."""
  transformers = pytest.importorskip(
    "transformers", reason="transformers (extra hf) is not installed"
  )
  ours = made["roberta"]
  ids = {token: id_ for id_, token in enumerate(ours.tokens)}
  theirs = transformers.RobertaTokenizer(ids, list(ours.pairs.merges))
  theirs.save_pretrained(tmp_path)
  again = load_huggingface(tmp_path)
  assert again.template == ours.template
  for text, found in zip(LEARNED, again.encode(LEARNED), strict=True):
    expected = theirs(text, add_special_tokens=False)["input_ids"]
    assert found.tolist() == expected


def test_a_layout_of_modernbert_is_read(made, tmp_path):
  """Its special tokens have ids behind the vocabulary, among added ones."""
  transformers = pytest.importorskip(
    "transformers", reason="transformers (extra hf) is not installed"
  )
  ours = made["modernbert"]
  ours.save(tmp_path)
  size = ours.vocab_size - 5
  words = {token: id_ for id_, token in enumerate(ours.tokens[:size])}
  names = ["   ", "|||IP_ADDRESS|||", *ours.tokens[size:], "[unused0]"]
  special = {name: name in ours.tokens for name in names}
  added = [
    {
      "id": size + n,
      "content": name,
      "special": special[name],
      "lstrip": name == "[MASK]",
      "rstrip": False,
      "single_word": False,
      "normalized": not special[name],
    }
    for n, name in enumerate(names)
  ]
  decoder = {
    str(each["id"]): {k: v for k, v in each.items() if k != "id"}
    for each in added
  }
  change(tmp_path / FAST, model__vocab=words, added_tokens=added)
  content = json.loads((tmp_path / FAST).read_text())
  for token in content["post_processor"]["special_tokens"].values():
    token["ids"] = [2 + id_ for id_ in token["ids"]]
  (tmp_path / FAST).write_text(json.dumps(content))
  change(tmp_path / CONFIG, added_tokens_decoder=decoder)
  again = load_huggingface(tmp_path)
  assert again.vocab_size == size + len(names)
  assert again.mask_id == ours.mask_id + 2
  theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
  for text in ("a   fox", "|||IP_ADDRESS||| dog", "[unused0]", *LEARNED):
    expected = theirs(text, add_special_tokens=False)["input_ids"]
    assert again.encode([text])[0].tolist() == expected
  pair = theirs("the fox", "the dog")["input_ids"]
  a, b = again.encode(["the fox", "the dog"])
  assert pair == again.template.join(a, b).tolist()
  again.save(tmp_path / "again")
  assert load_huggingface(tmp_path / "again").sha256 == again.sha256


def test_added_tokens_are_left_out_if_asked(made, tmp_path):
  ours = made["roberta"]
  ours.save(tmp_path)
  content = json.loads((tmp_path / FAST).read_text())
  token = {"id": ours.vocab_size, "content": "<e1>", "special": False}
  added = [*content["added_tokens"], token]
  change(tmp_path / FAST, added_tokens=added)
  kept = load_huggingface(tmp_path)
  left_out = load_huggingface(tmp_path, drop_added=True)
  assert kept.encode(["<e1>"])[0].tolist() == [ours.vocab_size]
  assert len(left_out.encode(["<e1>"])[0]) > 1
  # Its id stays, and nothing has it.
  assert left_out.vocab_size == kept.vocab_size
  assert left_out.tokens[-1] == "[unused0]"
  assert ours.vocab_size not in left_out.vocabulary().ordinary_W
  kept.save(tmp_path / "kept")
  again = load_huggingface(tmp_path / "kept", drop_added=True)
  assert again.sha256 == left_out.sha256


@pytest.mark.parametrize(
  "template",
  [
    # One token between texts, and all of one type.
    Template((0,), (2,), (2,), second_type=0),
    Template((0,), (2, 2), (2,)),
    Template((0, 3), (2, 3), (3, 2), second_type=0),
  ],
)
def test_any_template_is_kept(made, template, folder, tmp_path_factory):
  ours = made["roberta"]
  processor = json.loads(make_processor(template, ours.tokens).__getstate__())
  change(folder / FAST, post_processor=processor)
  again = load_huggingface(folder)
  assert again.template == template
  assert again.sha256 != ours.sha256
  back = tmp_path_factory.mktemp("back")
  again.save(back)
  assert load_huggingface(back).sha256 == again.sha256
  assert not (back / "vocab.json").exists()
  special_V = again.vocabulary().special_V
  assert special_V[[*template.ids]].all()
  theirs = Tokenizer.from_file(str(back / FAST)).encode("the fox", "a dog")
  a, b = again.encode(["the fox", "a dog"])
  assert theirs.ids == template.join(a, b).tolist()
  assert theirs.type_ids == template.types(len(a), len(b)).tolist()


def test_merges_of_older_files_are_read(made, folder):
  merges = [" ".join(pair) for pair in made["roberta"].pairs.merges]
  change(folder / FAST, model__merges=merges)
  assert load_huggingface(folder).sha256 == made["roberta"].sha256


def test_a_missing_special_token_is_named_with_the_fix(made, folder):
  tokens = made["roberta"].tokens
  ids = {t if t != "<mask>" else "mask": id_ for id_, t in enumerate(tokens)}
  for name in (CONFIG, SPECIALS, FAST):
    (folder / name).unlink()
  (folder / "vocab.json").write_text(json.dumps(ids))
  with pytest.raises(
    ValueError,
    match=r"vocab\.json has no <mask> or \[MASK\]; .*--tokenizer=roberta",
  ):
    tokenizers.load(folder)


@pytest.mark.parametrize(
  ("file", "fields", "message"),
  [
    (FAST, {"pre_tokenizer": None}, "pre_tokenizer type is None; only Byte"),
    (FAST, {"pre_tokenizer__use_regex": False}, "use_regex is False; only"),
    (FAST, {"normalizer": {"type": "Lowercase"}}, "type is Lowercase; only"),
    (FAST, {"model__dropout": 0.1}, "dropout is 0.1; only 0.0"),
    (FAST, {"model__shape": 1}, "nothing is known about BPE model shape=1"),
    (FAST, {"model__merges": ["a b c"]}, "'a b c' is not two tokens"),
    (
      FAST,
      {"post_processor": {"type": "ByteLevel"}},
      "post_processor ByteLevel does not put tokens of the vocabulary before",
    ),
    (CONFIG, {"add_prefix_space": True}, "add_prefix_space=True and tokeni"),
    (CONFIG, {"cls_token": "<cls>"}, "name cls_token as <cls> and <s>; make"),
    (CONFIG, {"tokenizer_class": "XTokenizer"}, "class is XTokenizer; only"),
    (CONFIG, {"do_lower_case": True}, "do_lower_case is True; only False"),
    (CONFIG, {"added_tokens_decoder": {"x": {}}}, "id 'x' is not understood"),
    (FAST, {"added_tokens": [{"content": "a"}]}, "id None is not understood"),
  ],
)
def test_what_is_not_done_here_is_refused(file, fields, message, folder):
  change(folder / file, **fields)
  with pytest.raises(ValueError, match=message):
    load_huggingface(folder)


def test_a_vocabulary_without_its_merges_is_refused(folder):
  (folder / FAST).unlink()
  (folder / "merges.txt").unlink()
  with pytest.raises(ValueError, match=r"vocab\.json without merges\.txt"):
    load_huggingface(folder)
