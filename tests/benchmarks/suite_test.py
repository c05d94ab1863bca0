# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""One table of benchmarks: within its time, whatever a row does."""

import ast
import itertools
import json
import pathlib

import pytest

from benchmarks import compiler, suite, suite_rows
from benchmarks.figures import Figure
from benchmarks.suite import Ran
from benchmarks.suite_rows import ROWS, Goal, Row

FOLDER = pathlib.Path(suite.__file__).parent
# A step of a moment, without a peer.
TINY = (
  *("train_step", "--size=tiny", "--notorch", "--rounds=1"),
  *("--batch_size=2", "--seq_length=16", "--vocab_size=64", "--slots=0"),
)


@pytest.mark.parametrize("tier", ["quick", "tpu"])
def test_the_rows_of_a_tier_fit_into_its_time(tier):
  rows = suite_rows.of_tier(tier)
  assert rows
  assert sum(row.seconds for row in rows) <= suite_rows.BUDGETS[tier]


def test_a_tier_ends_within_its_time_whatever_its_rows_take(
  tmp_path, monkeypatch
):
  now = [100.0]
  monkeypatch.setattr(suite.time, "monotonic", lambda: now[0])

  def run(row, seconds):
    now[0] += seconds  # all that it may take
    return Ran(row, seconds=seconds)

  monkeypatch.setattr(suite, "run_row", run)
  budget = suite_rows.BUDGETS["full"]
  rows = suite_rows.of_tier("full")
  assert sum(row.seconds for row in rows) > budget
  ran = suite.measure(rows, tmp_path / "full.json", budget)
  assert now == [100 + budget]
  assert len(ran) == len(rows)
  (cut,) = [each for each in ran if 0 < each.seconds < each.row.seconds]
  late = ran[ran.index(cut) + 1 :]
  assert late
  assert {each.error for each in late} == {
    "it was not run, since 30 minutes were over"
  }
  stored = json.loads((tmp_path / "full.json").read_text())["rows"]
  assert [each["error"] for each in stored] == [each.error for each in ran]


def test_every_shape_is_measured_in_both_dtypes_and_beside_all_peers():
  for shape in ("tiny", "mini", "base", "base_512"):
    size, _, length = shape.partition("_")
    for what in ("step", "inference"):
      name = "_".join(filter(None, (size, what, length)))
      row, low = suite_rows.of_tier("full", [name, f"{name}_bfloat16"])
      assert "full" in row.tiers
      assert "torch" in row.peers
      assert ("onnxruntime" in row.peers) == (what == "inference")
      assert "--dtype=bfloat16" in low.command
      assert what == "inference" or "full" in low.tiers
  compiled = {row.name for row in ROWS if "--compile" in row.command}
  assert {"base_step", "base_step_512", "base_inference"} < compiled
  for row in ROWS:
    assert (compiler.NAME in row.peers) == (row.name in compiled)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_flags_of_a_row_are_those_of_its_benchmark(row):
  module, *arguments = row.command
  source = (FOLDER / f"{module}.py").read_text()
  assert "figures.record(" in source
  without = itertools.chain.from_iterable(filter(None, row.peers.values()))
  for argument in (*arguments, *without):
    name = argument.removeprefix("--").partition("=")[0]
    known = [f'"{each}"' in source for each in (name, name.removeprefix("no"))]
    assert any(known), argument
  for goal in row.goals.values():
    suite_rows.parse_goal(goal)


def test_rows_have_names_of_their_own():
  names = [row.name for row in ROWS]
  assert len({*names}) == len(names)
  assert [row.name for row in suite_rows.of_tier("full", ["restart"])] == [
    "restart"
  ]
  with pytest.raises(ValueError, match="--only=nothing is no row"):
    suite_rows.of_tier("full", ["nothing"])


def test_a_goal_is_of_the_ratio_or_of_our_value():
  assert suite_rows.parse_goal("ratio ≤ 0.90") == Goal(True, "≤", 0.9)
  assert suite_rows.parse_goal("≥ 20 M tokens/s/core") == Goal(False, "≥", 20)
  with pytest.raises(ValueError, match="is no goal"):
    suite_rows.parse_goal("fast")
  row = Row("x", ("x",), 1, {"step": "ratio ≤ 0.90", "compile": "≤ 6 s"})
  assert suite.is_met(row, Figure("a step", 0.9, "s", 1.0))
  assert suite.is_met(row, Figure("a step", 0.95, "s", 1.0)) is False
  assert suite.is_met(row, Figure("a step", 0.9, "s")) is None
  assert suite.is_met(row, Figure("a compile", 7.0, "s")) is False
  assert suite.is_met(row, Figure("another", 7.0, "s")) is None
  assert suite.is_met(row, Figure("another", 7.0, "s", goal="≤ 8 s"))


def test_the_table_has_what_was_found_and_what_is_missing():
  row = Row("step", ("x",), 1, {"step": "ratio ≤ 0.90"})
  ran = [
    Ran(row, [Figure("a step", 3.0, "s", 4.0, "PyTorch")]),
    Ran(row, [Figure("another step", 3.0, "s")], missing=["torch"]),
    Ran(Row("late", ("y",), 1), error="it was ended after 1 s"),
    Ran(Row("pods", ("z",), 1), missing=["libtpu"]),
  ]
  lines = suite.table(ran, "Xeon").splitlines()[2:]
  cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
  assert cells == [
    ["a step", "3 s", "4 s (PyTorch)", "0.75", "ratio ≤ 0.90", "yes", "Xeon"],
    ["another step", "3 s", "no torch", "–", "ratio ≤ 0.90", "–", "Xeon"],
    ["late", "–", "–", "–", "–", "–", "Xeon"],
    ["pods", "–", "–", "–", "–", "–", "Xeon"],
  ]
  assert suite.remarks(ran) == [
    "late failed: it was ended after 1 s",
    "torch is not installed, which step need: make torch",
    "libtpu is not installed, which pods need: pip install 'bertjax[plan]'",
  ]


def test_rows_during_which_the_machine_was_busy_are_marked():
  share = suite.machine_load.LIMIT
  rows = [Row(name, ("x",), 1) for name in ("quiet", "loud", "unknown")]
  ran = [
    Ran(row, others=others)
    for row, others in zip(rows, (share, 0.234, None), strict=True)
  ]
  assert [each.to_json()["busy"] for each in ran] == [False, True, False]
  assert ran[1].to_json()["others"] == 0.234
  assert suite.remarks(ran) == [
    "others took more than 10% of the machine during loud (23%); run these "
    "again on a quiet one"
  ]


def test_what_is_known_is_written_after_each_row(tmp_path, monkeypatch):
  path = tmp_path / "made" / "full.json"
  first, second = Row("first", ("x",), 1), Row("second", ("y",), 1)

  def run(row, seconds):
    assert seconds == 1
    if row is second:
      raise KeyboardInterrupt
    return Ran(row, [Figure("a step", 3.0, "s", 4.0, "PyTorch")], 1.5)

  monkeypatch.setattr(suite, "run_row", run)
  with pytest.raises(KeyboardInterrupt):
    suite.measure([first, second], path)
  found = json.loads(path.read_text())
  assert found["hardware"]["cores"] > 0
  assert found["versions"]["jax"]
  (row,) = found["rows"]
  assert row["figures"][0]["ratio"] == 0.75


def test_a_row_that_fails_or_hangs_is_told():
  absent = suite.run_row(Row("a", ("no_such_module",), 60), 60)
  assert "No module named benchmarks.no_such_module" in absent.error
  late = suite.run_row(Row("b", TINY, 60), 0)
  assert late.error == "it was ended after 0 s"
  silent = suite.run_row(Row("c", ("figures",), 60), 60)
  assert silent.error == "it wrote no figures"


def test_a_row_without_its_peer_runs_alone_or_not_at_all(monkeypatch):
  needs = Row("a", ("no_such_module",), 60, {}, {"no_such_package": None})
  ran = suite.run_row(needs, 60)
  assert ran.missing == ["no_such_package"]
  assert not ran.error
  seen = []
  monkeypatch.setattr(
    suite, "_finish", lambda command, _: seen.extend(command) or "ended"
  )
  peers = {"no_such_package": ("--nofirst",), compiler.NAME: ("--nocompile",)}
  monkeypatch.setenv("CXX", "no_such_compiler")
  ran = suite.run_row(Row("a", ("x", "--given"), 60, {}, peers), 60)
  assert ran.missing == [*peers]
  assert seen[3:6] == ["--given", "--nofirst", "--nocompile"]
  line = suite.remarks([ran])[2]
  assert line == (
    "a C++ compiler is not installed, which a need: apt-get install g++, or "
    "name one in CXX"
  )


@pytest.mark.full
def test_a_step_is_measured_without_its_peer():
  peers = {"no_such_package": TINY[2:3]}
  row = Row("a", TINY[:2] + TINY[3:], 1200, {}, peers)
  ran = suite.run_row(row, 1200)
  assert not ran.error
  step, compiled = ran.figures
  assert step.what == "train step, BERT-tiny 2 × 16, float32"
  assert step.ours > 0
  assert step.peer is None
  assert ran.others is None or 0 <= ran.others <= 1
  assert compiled.what.startswith("cold compile")


@pytest.mark.full
def test_a_step_is_measured_beside_one_with_adamw():
  ran = suite.run_row(Row("a", (*TINY, "--optimizer=lamb"), 1200), 1200)
  assert not ran.error
  step, compiled = ran.figures
  assert step.what == "train step, BERT-tiny 2 × 16, float32, lamb"
  assert (step.of, step.goal) == ("bertjax, AdamW", "ratio ≤ 1.5")
  assert step.ratio
  assert compiled.what.startswith("cold compile")


@pytest.mark.full
def test_a_restart_is_measured():
  small = ("restart", "--size=tiny", "--layers=1", "--rounds=1")
  ran = suite.run_row(Row("a", small, 1200), 1200)
  assert not ran.error
  assert [figure.unit for figure in ran.figures] == ["s"] * 4
  cold, warm, both, beyond = ran.figures
  assert warm.peer == cold.ours > 0
  assert both.ours > beyond.ours


def imported_by(path):
  """The modules that a file imports, as if all that it takes were modules."""
  for node in ast.walk(ast.parse(path.read_text())):
    if isinstance(node, ast.ImportFrom) and node.module:
      yield node.module
      yield from (f"{node.module}.{each.name}" for each in node.names)


def flags_of(nodes):
  """The names of the flags that some nodes define."""
  for node in nodes:
    called = node.func if isinstance(node, ast.Call) else None
    if isinstance(called, ast.Attribute) and called.attr.startswith("DEFINE_"):
      yield from (
        each.value for each in node.args[:1] if isinstance(each, ast.Constant)
      )


def flags_at_import(path):
  statements = [
    node
    for node in ast.parse(path.read_text()).body
    if isinstance(node, ast.Assign | ast.Expr)
  ]
  return {*flags_of(itertools.chain(*map(ast.walk, statements)))}


def test_a_benchmark_that_tests_import_defines_no_flag_of_a_command():
  """One process imports both, and absl knows each name once."""
  root = FOLDER.parent
  tests = {
    name
    for path in (root / "tests").rglob("*.py")
    for name in imported_by(path)
  }
  commands = {
    name
    for path in (root / "launch").rglob("*.py")
    for name in flags_of(ast.walk(ast.parse(path.read_text())))
  }
  assert "store" in commands
  for path in FOLDER.rglob("*.py"):
    module = ".".join(path.relative_to(root).with_suffix("").parts)
    if module in tests:
      assert not flags_at_import(path) & commands, module
