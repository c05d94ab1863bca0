# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Progress of `launch.prepare`, on a terminal and in a log."""

import io

import rich.console

from launch.reports import prepare_console


def test_bar_shows_every_stage_to_its_end():
  output = io.StringIO()
  console = rich.console.Console(file=output, force_terminal=True, width=120)
  with prepare_console._Bar(console) as bar:
    for stage, share in (("learn", None), ("encode", 0.0), ("encode", 0.5)):
      bar(stage, share, 1234)
  shown = output.getvalue()
  assert "learn" in shown
  assert "encode" in shown
  assert "100%" in shown
