# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Laws of templates: what they count is what they join."""

import json

import numpy as np
import pytest

from data_pipelines.tokenizers.template import Template

TEMPLATES = [
  Template.of_bert(1, 2),
  Template.doubled(0, 2),
  Template((1, 5), (2, 6, 2), (7, 8), second_type=1),
]


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("sizes", [(0, None), (3, None), (0, 0), (4, 2)])
def test_places_counts_and_types_are_those_of_the_joined_ids(template, sizes):
  size_a, size_b = sizes
  a, b = np.arange(size_a) + 100, np.arange(size_b or 0) + 200
  ids = template.join(a, None if size_b is None else b)
  types = template.types(size_a, size_b)
  assert ids.dtype == types.dtype == np.int32
  pair = size_b is not None
  assert len(ids) == len(types) == template.count(pair=pair) + len(a) + len(b)
  assert set(ids[ids < 100].tolist()) <= template.ids
  assert ids[template.start :][:size_a].tolist() == a.tolist()
  if pair:
    second = template.second_start(size_a)
    assert ids[second:][:size_b].tolist() == b.tolist()
    assert not types[:second].any()
    assert (types[second:] == template.second_type).all()
  else:
    assert not types.any()


def test_the_published_templates():
  bert, roberta = TEMPLATES[:2]
  assert bert.join([7], [8]).tolist() == [1, 7, 2, 8, 2]
  assert bert.types(1, 1).tolist() == [0, 0, 0, 1, 1]
  assert roberta.join([7], [8]).tolist() == [0, 7, 2, 2, 8, 2]
  assert not roberta.types(1, 1).any()


@pytest.mark.parametrize("template", TEMPLATES)
def test_json_keeps_a_template(template):
  again = json.loads(json.dumps(template.to_json()))
  assert Template.from_json(again) == template
