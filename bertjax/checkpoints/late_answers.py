# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What TensorStore says after a fallback, and nobody needs."""

import functools
import sys
import types


@functools.cache
def drop_late_answers() -> None:
  """Print no traceback for each array that nobody waits for any more.

  Where one array cannot be read, Orbax closes its event loop, and TensorStore
  then fails to tell it of the others, on threads of its own: 25 tracebacks
  around the two lines that say what is damaged.
  """
  before, before_unraisable = sys.excepthook, sys.unraisablehook

  def hook(
    kind: type[BaseException],
    error: BaseException,
    trace: types.TracebackType | None,
  ) -> None:
    if not _is_late(kind, trace):
      before(kind, error, trace)

  def unraisable_hook(late: "sys.UnraisableHookArgs") -> None:
    if not _is_late(late.exc_type, late.exc_traceback):
      before_unraisable(late)

  # A callback of TensorStore ends in either, by how it was called.
  sys.excepthook, sys.unraisablehook = hook, unraisable_hook


def _is_late(
  kind: type[BaseException], trace: types.TracebackType | None
) -> bool:
  """Return whether an error is an answer to an event loop that is closed."""
  called = trace.tb_frame.f_code.co_name if trace else ""
  return called == "call_soon_threadsafe" and kind is RuntimeError
