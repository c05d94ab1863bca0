# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import json

import pytest
from tokenizers import Tokenizer, models

from data_pipelines.tokenizers.huggingface_template import (
  make_processor,
  read_template,
)
from data_pipelines.tokenizers.template import Template

TOKENS = ["<s>", "<pad>", "</s>", "[X]"]
IDS = {token: id_ for id_, token in enumerate(TOKENS)}
TEMPLATES = [
  Template.of_bert(0, 2),
  Template.doubled(0, 2),
  Template((0, 3), (2, 3), (3, 2), second_type=0),
]


def written(processor):
  backend = Tokenizer(models.WordLevel({}, "?"))
  backend.post_processor = processor
  return json.loads(backend.to_str())["post_processor"]


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_that_is_written_is_read(template):
  found = written(make_processor(template, TOKENS))
  assert read_template(found, IDS) == template
  # As the published files of Llama and others have it.
  both = {"type": "Sequence", "processors": [{"type": "ByteLevel"}, found]}
  assert read_template(both, IDS) == template


@pytest.mark.parametrize("template", TEMPLATES)
def test_the_library_does_what_the_template_says(template):
  vocabulary = {**IDS, "a": 4, "b": 5}
  backend = Tokenizer(models.WordLevel(vocabulary, "[X]"))
  backend.post_processor = make_processor(template, TOKENS)
  for pair in (None, "b"):
    found = backend.encode("a", pair)
    ids = [[vocabulary[text]] for text in ("a", pair) if text is not None]
    assert found.ids == template.join(*ids).tolist()
    assert found.type_ids == template.types(*map(len, ids)).tolist()


def test_berts_own_processor_is_read():
  kind = {"type": "BertProcessing", "cls": ["<s>", 0], "sep": ["</s>", 2]}
  assert read_template(kind, IDS) == TEMPLATES[0]
  assert read_template({**kind, "sep": ["</s>", 1]}, IDS) is None


@pytest.mark.parametrize(
  "change",
  [
    {"single": []},
    {"pair": []},
    # Another id than the vocabulary has.
    {"special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}},
    {"type": "ByteLevel"},
    # Nothing stands before the first text.
    {
      "pair": [
        {"Sequence": {"id": "A", "type_id": 0}},
        {"Sequence": {"id": "B", "type_id": 0}},
        {"SpecialToken": {"id": "</s>", "type_id": 0}},
      ]
    },
  ],
)
def test_what_is_no_template_is_none(change):
  found = written(make_processor(TEMPLATES[0], TOKENS))
  assert read_template({**found, **change}, IDS) is None
