# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from data_pipelines.tokenizers.huggingface_specials import (
  find_specials,
  mask_takes_space,
  read_frame,
)
from data_pipelines.tokenizers.template import Template
from tests.testing.tokenizer_folders import CONFIG, FAST

MAP = "special_tokens_map.json"
EMPTY = {FAST: {}, CONFIG: {}, MAP: {}, "added_tokens.json": {}}
ROBERTA = ("<pad>", "<unk>", "<s>", "</s>", "<mask>")
BERT = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


@pytest.mark.parametrize(
  "names",
  [ROBERTA, BERT, ("<pad>", "<unk>", "<bos>", "<eos>", "<mask>")],
)
def test_published_names_need_not_be_told(names):
  assert find_specials({*names, "a"}, EMPTY, "here") == names


def test_files_may_name_others():
  files = {**EMPTY, CONFIG: {"cls_token": {"content": "a"}, "sep_token": "a"}}
  assert find_specials({*BERT, "a"}, files, "here") == (
    *("[PAD]", "[UNK]", "a", "a", "[MASK]"),
  )
  files = {**files, MAP: {"cls_token": "b"}}
  with pytest.raises(ValueError, match="name cls_token as a and b; make them"):
    find_specials({*BERT, "a", "b"}, files, "here")


def test_all_that_is_missing_is_named():
  with pytest.raises(
    ValueError, match=r"here has no <pad> or \[PAD\], <s> or \[CLS\]; add what"
  ):
    find_specials({"<unk>", "</s>", "<mask>"}, EMPTY, "here")


@pytest.mark.parametrize(
  ("names", "make"),
  [(ROBERTA, Template.doubled), (BERT, Template.of_bert)],
)
def test_without_a_processor_names_tell_the_template(names, make):
  ids = {name: id_ for id_, name in enumerate(names)}
  assert read_frame({}, ids, names, "here") == make(2, 3)


def test_the_end_of_a_row_is_no_beginning():
  """XLNet has its cls behind all texts."""
  ids = {name: id_ for id_, name in enumerate(ROBERTA)}
  parts = [
    {"Sequence": {"id": "A", "type_id": 0}},
    {"SpecialToken": {"id": "</s>", "type_id": 0}},
    {"Sequence": {"id": "B", "type_id": 1}},
    {"SpecialToken": {"id": "</s>", "type_id": 1}},
    {"SpecialToken": {"id": "<s>", "type_id": 2}},
  ]
  processor = {
    "type": "TemplateProcessing",
    "single": [*parts[:2], parts[-1]],
    "pair": parts,
    "special_tokens": {},
  }
  with pytest.raises(
    ValueError, match="TemplateProcessing does not put tokens of the vocabulary"
  ):
    read_frame({"post_processor": processor}, ids, ROBERTA, "here")


@pytest.mark.parametrize("file", [FAST, CONFIG, MAP])
def test_any_file_may_tell_of_the_space_before_a_mask(file):
  token = {"content": "<mask>", "lstrip": False}
  told = {FAST: {"added_tokens": [token]}}.get(file, {"mask_token": token})
  assert not mask_takes_space({**EMPTY, file: told}, "<mask>", usual=True)
  assert mask_takes_space(EMPTY, "<mask>", usual=True)
