# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""All take turns, and each peer has a figure."""

import pytest

from benchmarks import compiler, turns


def test_all_take_turns_and_the_first_are_not_counted():
  seen = []
  found = turns.interleave(
    {"ours": lambda: seen.append("o"), "peer": lambda: seen.append("p")}, 3
  )
  assert "".join(seen) == "op" * 5
  assert {name: len(spent) for name, spent in found.items()} == {
    "ours": 3,
    "peer": 3,
  }


def test_a_figure_for_each_peer_by_the_median():
  seconds = {
    "ours": [(1.0, 2.0), (3.0, 2.0), (9.0, 2.0)],
    "slow": [(6.0, 4.0)] * 3,
    "fast": [(1.5, 1.0)] * 3,
  }
  slow, fast = turns.compare("a step", seconds, {"slow": "ratio ≤ 0.90"})
  assert (slow.ours, slow.peer, slow.of, slow.ratio) == (3.0, 6.0, "slow", 0.5)
  assert (fast.of, fast.ratio, fast.goal) == ("fast", 2.0, "")
  assert slow.goal == "ratio ≤ 0.90"
  (alone,) = turns.compare("a step", {"ours": seconds["ours"]})
  assert (alone.ours, alone.peer) == (3.0, None)
  lines = [*turns.describe(seconds, 60)]
  assert lines[0].startswith("ours median 3.000 s (20 tokens/s), best 1.000")
  assert (
    "slow / ours, wall time: median of 3 turns 2.00 (0.67 to 6.00)" in lines
  )


def test_what_is_computed_instead_of_bfloat16_is_told(monkeypatch):
  monkeypatch.setattr(turns.dtypes, "find_obstacle", lambda *_: "it lacks it")
  assert turns.dtype_words("bfloat16") == "bfloat16 (products in float32)"
  monkeypatch.setattr(turns.dtypes, "find_obstacle", lambda *_: "")
  assert turns.dtype_words("bfloat16") == "bfloat16"


def test_a_compiler_that_is_not_there_is_a_line(monkeypatch):
  monkeypatch.setenv("CXX", "no_such_compiler")
  with pytest.raises(SystemExit, match=r"^error: --compile needs a C\+\+ comp"):
    compiler.check()
