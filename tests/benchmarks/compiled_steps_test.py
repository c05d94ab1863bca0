# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A train step does not cost more than is recorded, unless a reason is."""

import json

import pytest

from benchmarks import compiled_steps

BEFORE = {
  "bert": {
    "FLOPs of products": 1000,
    "all-reduce f32 of 8, count": 2,
    "compiles, later steps": 0,
  }
}


def changed(**figures):
  return {"bert": {**BEFORE["bert"], **figures}}


@pytest.mark.parametrize(
  "name",
  [
    "bert",
    pytest.param("bert_bfloat16", marks=pytest.mark.full),
    pytest.param("modernbert", marks=pytest.mark.full),
  ],
)
def test_a_step_costs_no_more_than_is_recorded(name):
  """What grew for a reason: `python -m benchmarks.compiled_steps --update`."""
  now = compiled_steps.measure(name)
  assert [*now] == [name]
  record = compiled_steps.read().get(compiled_steps.compiler())
  if record:  # of these versions
    assert compiled_steps.grown(record["figures"], now) == []
  for figures in now.values():
    assert figures["compiles, later steps"] == 0
    assert figures["reads, later steps"] == figures["reads, first steps"]
    # Loss and metrics: the state is donated.
    assert figures["bytes of outputs that are not donated"] < 2_000


def test_every_case_is_recorded():
  cases = compiled_steps.make_configs().keys()
  assert cases == {"bert", "bert_bfloat16", "modernbert"}
  for record in compiled_steps.read().values():
    assert record["figures"].keys() == cases


def test_counts_may_not_grow_and_other_figures_a_little():
  grown = lambda **figures: compiled_steps.grown(BEFORE, changed(**figures))
  assert grown() == []
  assert grown(**{"FLOPs of products": 1020}) == []
  assert grown(**{"FLOPs of products": 1021}) == [
    "bert: FLOPs of products grew from 1,000 to 1,021"
  ]
  assert grown(**{"FLOPs of products": 10}) == []
  assert len(grown(**{"all-reduce f32 of 8, count": 3})) == 1
  assert len(grown(**{"compiles, later steps": 1})) == 1
  assert len(grown(**{"all-to-all f32 of 8, bytes": 4})) == 1


def test_what_grew_is_recorded_with_a_reason_alone(tmp_path):
  path = tmp_path / "record.json"
  others = {"jax 0.1": {"figures": BEFORE, "reasons": ["first"]}}
  path.write_text(json.dumps(others))
  with pytest.raises(ValueError, match=r"grew from 0 to 1,000.*--reason="):
    compiled_steps.update(BEFORE, " ", path)
  assert json.loads(path.read_text()) == others
  compiled_steps.update(BEFORE, "first of these versions", path)
  compiled_steps.update(changed(**{"FLOPs of products": 900}), "", path)
  more = changed(**{"FLOPs of products": 2000})
  with pytest.raises(ValueError, match="grew from 900 to 2,000"):
    compiled_steps.update(more, "", path)
  compiled_steps.update(more, "a wider head", path)
  found = compiled_steps.read(path)
  assert found["jax 0.1"] == others["jax 0.1"]
  assert found[compiled_steps.compiler()] == {
    "figures": more,
    "reasons": ["first of these versions", "a wider head"],
  }
