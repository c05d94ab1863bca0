# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from bertjax.sweep.differences import Differences, find_differences, group

FIELDS = {
  "a": {"steps": 10, "model.num_layers": 1, "optimizer.beta2": 0.9},
  "b": {"steps": 12, "model.num_layers": 2, "optimizer.beta2": 0.9},
}


def test_arms_differ_in_axes_and_what_follows():
  found = find_differences(FIELDS, ["model.num_layers"], matched=True)
  assert [(each.field, each.why) for each in found] == [
    ("steps", "matched"),
    ("model.num_layers", "axis"),
  ]
  assert found[1].arms == {"1": ("a",), "2": ("b",)}


def test_another_difference_is_refused():
  with pytest.raises(
    ValueError, match="differ in steps, which is no axis"
  ) as e:
    find_differences(FIELDS, ["model.num_layers"])
  assert "10: a; 12: b" in str(e.value)


def test_a_field_that_an_arm_does_not_read_may_differ():
  fields = {
    "nsp": {"next_sentence": "nsp", "weight": 0.5},
    "mlm": {"next_sentence": "off", "weight": 1.0},
  }
  found = find_differences(fields, ["next_sentence"], {"mlm": ["weight"]})
  assert found[1].why == "not read"
  with pytest.raises(ValueError, match="differ in weight"):
    find_differences(fields, ["next_sentence"])


def test_arms_that_read_a_field_have_one_value_of_it():
  """That a third arm does not read it excuses nothing."""
  fields = {
    "nsp": {"next_sentence": "nsp", "weight": 0.5},
    "sop": {"next_sentence": "sop", "weight": 0.7},
    "mlm": {"next_sentence": "off", "weight": 1.0},
  }
  with pytest.raises(ValueError, match="differ in weight"):
    find_differences(fields, ["next_sentence"], {"mlm": ["weight"]})


def test_what_follows_from_an_axis_is_said():
  fields = {
    "a": {"data.seq_length": 128, "data.max_packs": 7},
    "b": {"data.seq_length": 512, "data.max_packs": 20},
  }
  found = find_differences(fields, ["data.seq_length"])
  assert [each.why for each in found] == ["axis", "follows"]


def test_the_check_is_printed():
  text = str(
    Differences(
      fields=find_differences(FIELDS, ["model.num_layers"], matched=True),
      equal={"dtype": "float32"},
      rows=group({"a": 1, "b": 1, "c": 2}),
      validation=group({"a": 1, "b": 1}),
    )
  )
  assert "steps (matched)  10: a; 12: b" in text
  assert "model.num_layers  1: a; 2: b" in text
  assert "and in nothing else" in text
  assert "dtype: float32" in text
  assert "training rows: the same in a, b; others have their own" in text
  assert "validation rows and masks: the same in all arms" in text
