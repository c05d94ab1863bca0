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
  before = sys.excepthook

  def hook(
    kind: type[BaseException],
    error: BaseException,
    trace: types.TracebackType | None,
  ) -> None:
    called = trace.tb_frame.f_code.co_name if trace else ""
    if called != "call_soon_threadsafe" or kind is not RuntimeError:
      before(kind, error, trace)

  sys.excepthook = hook
