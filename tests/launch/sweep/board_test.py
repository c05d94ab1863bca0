# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import io

from rich.console import Console

from bertjax.train.progress import Meter, Progress
from launch.sweep.board import Board


def make(terminal, at_once=1, **more):
  screen = io.StringIO()
  console = Console(
    file=screen, force_terminal=terminal, width=100, highlight=False
  )
  names = ["a-seed0", "b-seed0", "c-seed0"]
  return screen, Board(names, [1, 1, 2], console, at_once, **more)


def walk(board, seconds=None):
  with board.shown():
    with board.trial("a-seed0"):
      pass
    board.done("a-seed0", {"mlm_loss": 2.5, "cost": {"steps": 3}})
    if seconds:
      board._seconds["a-seed0"] = seconds
    with board.trial("b-seed0"):
      pass
    board.failed("b-seed0", "out of memory")


def test_a_log_has_a_line_for_what_happens():
  screen, board = make(False)
  walk(board)
  lines = screen.getvalue().splitlines()
  assert lines[0] == "trial 1 of 3: a-seed0"
  assert lines[1] == "  mlm loss 2.5000; 1 of 3 done"
  assert lines[3] == "b-seed0 failed: out of memory"


def test_what_is_left_is_reckoned_by_cost():
  _, board = make(False)
  walk(board, seconds=3600)
  assert board.left() == "1 of 3 done, 1 failed, about 2.00 h left"


def test_a_terminal_has_a_table_and_the_line_of_the_run():
  screen, board = make(True)
  with board.shown():
    progress = Progress(3, Meter(), shown=[])
    with board.trial("a-seed0"):
      progress.say("a line of the run")
      board.done("a-seed0", {"mlm_loss": 2.5})
  text = screen.getvalue()
  for part in (
    "trial",
    "state",
    "done",
    "mlm loss 2.5000",
    "a line of the run",
  ):
    assert part in text


def test_several_trials_that_run_have_a_line_each():
  screen, board = make(True, at_once=2)
  with (
    board.shown(),
    board.trial("a-seed0"),
    board.trial("c-seed0"),
  ):
    board.note("a-seed0", "step 3  loss 2.5000  90 tokens/s")
    screen.truncate(0)
    board.note("c-seed0", "step 8  loss 2.0000")
  rows = [line.split() for line in screen.getvalue().splitlines()]
  assert ["a-seed0", "runs", "step", "3", "loss"] in [row[:5] for row in rows]
  assert ["c-seed0", "runs", "step", "8", "loss"] in [row[:5] for row in rows]
  assert ["b-seed0", "to", "run"] in rows


def test_trials_at_once_are_named_and_share_the_time():
  screen, board = make(False, at_once=2)
  walk(board, seconds=3600)
  assert "a-seed0: mlm loss 2.5000; 1 of 3 done" in screen.getvalue()
  assert board.left() == "1 of 3 done, 1 failed, about 1.00 h left"


def test_the_time_of_a_trial_that_runs_is_not_left():
  _, board = make(False)
  walk(board, seconds=3600)
  with board.trial("c-seed0"):
    assert board.left().endswith("about 2.00 h left")
    board._began["c-seed0"] -= 1800
    assert board.left().endswith("about 1.50 h left")
    board._began["c-seed0"] -= 9 * 3600  # longer than was thought
    assert board.left().endswith("about 0.00 h left")


def test_the_time_of_earlier_calls_counts():
  """Of a trial that they finished, and of one that goes on."""
  seconds = {"a-seed0": 3600.0, "c-seed0": 1800.0}
  _, board = make(False, seconds=seconds)
  with board.trial("a-seed0"):
    pass
  board.done("a-seed0", {"mlm_loss": 2.5})
  # An hour for b, and two for c, of which half an hour is done.
  assert board.left() == "1 of 3 done, about 2.50 h left"
  with board.trial("c-seed0"):
    assert board.left() == "1 of 3 done, about 2.50 h left"
    board._began["c-seed0"] -= 5400
  board.done("c-seed0", {"mlm_loss": 2.5})
  # All two hours of c set the pace, not those of the last call.
  assert board.left() == "2 of 3 done, about 1.00 h left"
