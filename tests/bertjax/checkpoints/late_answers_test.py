# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A fallback is two lines, and no traceback for each array."""

import asyncio
import sys
import types
from typing import Any

import pytest

from bertjax.checkpoints import late_answers


def test_late_answers_to_a_closed_loop_print_no_traceback(monkeypatch):
  """TensorStore gives one for each array that is left, from its threads."""
  printed = []
  monkeypatch.setattr(sys, "excepthook", lambda *given: printed.append(given))
  monkeypatch.setattr(sys, "unraisablehook", printed.append)
  late_answers.drop_late_answers.__wrapped__()
  loop = asyncio.new_event_loop()
  loop.close()
  for answer in (lambda: loop.call_soon_threadsafe(print), loop.run_forever):
    with pytest.raises(RuntimeError) as caught:
      answer()
    trace = caught.value.__traceback__
    while trace is not None and "asyncio" not in trace.tb_frame.f_globals.get(
      "__name__", ""
    ):
      trace = trace.tb_next
    sys.excepthook(type(caught.value), caught.value, trace)
    unraisable: Any = types.SimpleNamespace(
      exc_type=RuntimeError, exc_value=caught.value, exc_traceback=trace
    )
    sys.unraisablehook(unraisable)
  assert len(printed) == 2, "another error of the loop is printed"
