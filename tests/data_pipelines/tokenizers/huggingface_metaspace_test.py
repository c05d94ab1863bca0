# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Folders of XLM-R's and mmBERT's layout: read, or a line with why not."""

import json
import shutil

import pytest

from data_pipelines.tokenizers import tokenizers
from data_pipelines.tokenizers.huggingface_import import load_huggingface
from data_pipelines.tokenizers.metaspace import Metaspace
from tests.testing.byte_texts import LEARNED
from tests.testing.metaspace_models import write_fairseq, write_gemma
from tests.testing.tokenizer_folders import CONFIG, FAST, change


@pytest.fixture(scope="module")
def written(tmp_path_factory):
  """Folders as the published ones are: a tokenizer.json and its settings."""
  root = tmp_path_factory.mktemp("written")
  made = tokenizers.load(write_fairseq(root / "raw", "xlm-roberta"))
  made.save(root / "e5")
  shutil.copy(root / "raw" / CONFIG, root / "e5" / CONFIG)
  shutil.copy(root / "raw" / "sentencepiece.bpe.model", root / "e5")
  write_gemma(root / "mmbert")
  return root


@pytest.fixture(params=["e5", "mmbert"])
def folder(request, written, tmp_path):
  return shutil.copytree(written / request.param, tmp_path / request.param)


@pytest.fixture
def e5(written, tmp_path):
  return shutil.copytree(written / "e5", tmp_path / "e5")


@pytest.fixture
def mmbert(written, tmp_path):
  return shutil.copytree(written / "mmbert", tmp_path / "mmbert")


def test_either_file_of_fairseq_is_enough(e5):
  whole = load_huggingface(e5)
  assert isinstance(whole, Metaspace)
  assert whole.mask_takes_space
  (e5 / FAST).unlink()
  assert load_huggingface(e5).sha256 == whole.sha256


def test_a_tokenizer_of_transformers_is_read(e5, tmp_path):
  transformers = pytest.importorskip(
    "transformers", reason="transformers (extra hf) is not installed"
  )
  theirs = transformers.XLMRobertaTokenizer.from_pretrained(e5)
  theirs.save_pretrained(tmp_path / "theirs")
  again = load_huggingface(tmp_path / "theirs")
  assert again.template == load_huggingface(e5).template
  for text, ids in zip(LEARNED, again.encode(LEARNED), strict=True):
    expected = theirs(text, add_special_tokens=False)["input_ids"]
    assert ids.tolist() == expected


def test_files_of_older_libraries_are_the_same(folder):
  ours = load_huggingface(folder)
  content = json.loads((folder / FAST).read_text())
  if "merges" in content["model"]:
    pairs = content["model"]["merges"]
    content["model"]["merges"] = [" ".join(pair) for pair in pairs]
  else:
    old = {"replacement": "▁", "str_rep": "▁", "add_prefix_space": True}
    cutters = content["pre_tokenizer"]["pretokenizers"]
    cutters[1] = content["decoder"] = {"type": "Metaspace", **old}
  (folder / FAST).write_text(json.dumps(content))
  assert load_huggingface(folder).sha256 == ours.sha256


def test_tokens_are_added_behind_the_vocabulary(folder):
  ours = load_huggingface(folder)
  content = json.loads((folder / FAST).read_text())
  size = ours.vocab_size
  token = {"id": size, "content": "[E1]", "special": True, "normalized": False}
  content["added_tokens"].append(token)
  (folder / FAST).write_text(json.dumps(content))
  more = load_huggingface(folder)
  assert more.vocab_size == size + 1
  assert size in more.encode(["the [E1] fox"])[0]
  assert more.vocabulary().special_V[size]
  more.save(folder / "again")
  again = load_huggingface(folder / "again")
  assert again.sha256 == more.sha256
  dropped = load_huggingface(folder, drop_added=True)
  assert dropped.vocab_size == size
  assert not dropped.added
  assert max(dropped.encode(["the [E1] fox"])[0]) < size


def test_the_special_tokens_may_be_among_the_added(mmbert):
  """Here behind the vocabulary, where the library numbers them."""
  ours = load_huggingface(mmbert)
  content = json.loads((mmbert / FAST).read_text())
  vocabulary = content["model"]["vocab"]
  vocabulary["x" * 9] = vocabulary.pop("<mask>")
  mask = next(t for t in content["added_tokens"] if t["content"] == "<mask>")
  content["added_tokens"].remove(mask)
  mask["id"] = ours.vocab_size
  content["added_tokens"].append(mask)
  (mmbert / FAST).write_text(json.dumps(content))
  again = load_huggingface(mmbert)
  assert again.mask_id == ours.vocab_size
  assert again.mask_id not in again.encode(["<mask>"])[0]
  again.save(mmbert / "again")
  assert load_huggingface(mmbert / "again").sha256 == again.sha256


@pytest.mark.parametrize(
  ("file", "fields", "message"),
  [
    (FAST, {"model__dropout": 0.1}, "dropout is 0.1; only 0.0"),
    (FAST, {"model__shape": 1}, "about metaspace model shape=1"),
    (FAST, {"normalizer": {"type": "X"}}, "cannot read its normalizer, pre_t"),
    (FAST, {"normalizer": None, "pre_tokenizer": None}, "makes 'a b' of \"a b"),
    (FAST, {"post_processor": {"type": "X"}}, "post_processor X does not put"),
    (CONFIG, {"unk_token": "<pad>"}, "of its model is <unk> and that of the"),
    (CONFIG, {"mask_token": "<m>"}, "has no <m>; add what is missing in"),
    (CONFIG, {"tokenizer_class": "XLNetTokenizer"}, "class is XLNetTokenizer"),
    (CONFIG, {"padding_side": "left"}, "padding_side is left; only right"),
    (CONFIG, {"add_eos_token": False}, "add_eos_token is False; only True"),
    (CONFIG, {"do_lower_case": True}, "do_lower_case is True; only False"),
  ],
)
def test_what_is_not_done_here_is_refused(file, fields, message, folder):
  change(folder / file, **fields)
  with pytest.raises(ValueError, match=message):
    load_huggingface(folder)


@pytest.mark.parametrize("unk_id", [None, 9999, "0"])
def test_a_unigram_model_knows_its_unknown_token(unk_id, e5):
  change(e5 / FAST, model__unk_id=unk_id)
  with pytest.raises(ValueError, match=f"has no token with unk_id={unk_id}"):
    load_huggingface(e5)
