# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from bertjax.trials.markdown import cell, markdown


def test_markdown_is_aligned():
  text = markdown(["arm", "x"], [["a", "1.00"], ["long name", "2"]])
  lines = text.splitlines()
  assert len({len(line) for line in lines}) == 1
  assert lines[0] == "| arm       |    x |"
  assert lines[1] == "| --------- | ---: |"
  with pytest.raises(ValueError, match="cells"):
    markdown(["a"], [["b", "c"]])


def test_a_cell_is_mean_and_spread():
  assert cell({"mean": 0.5, "std": 0.25}) == "0.5000 ± 0.2500"
  assert cell({"mean": 0.5, "std": None}, "+") == "+0.5000"
  assert cell(None) == "–"
