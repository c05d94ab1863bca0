# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""How a launcher starts, and how it tells its user what went wrong.

Exit codes: 0 done, 1 a mistake to correct (bad config, bad data, a loss of
nan), 42 stopped by SIGTERM and to be started again, 130 stopped by Ctrl-C.
"""

import logging as standard_logging
import signal
import sys
import types
from collections.abc import Callable, Sequence
from typing import NoReturn

from absl import app, flags, logging

RESTART = 42
INTERRUPTED = 130
_CODES = {signal.SIGTERM: RESTART, signal.SIGINT: INTERRUPTED}


def run(
  main: Callable[[Sequence[str]], None], *, passes_on: str = ""
) -> NoReturn:
  """Parse flags, run `main`, exit; a mistake is one line, no traceback.

  `main` takes what absl's mains take. No arguments are left over, unless the
  flag named `passes_on` is given: then unknown ones are somebody else's.
  """
  app.run(
    lambda argv: _told(main, argv),
    flags_parser=lambda argv: _parse(argv, passes_on),
  )
  sys.exit(0)


def fail(error: BaseException | str) -> NoReturn:
  """Print `error: …` on standard error and exit with 1."""
  text = " ".join(str(error).split())
  print(f"error: {text}", file=sys.stderr, flush=True)
  sys.exit(1)


class Signals:
  """Turns SIGTERM and Ctrl-C into a request that the loop reads.

  A second Ctrl-C interrupts at once. Use as a context; outside the main
  thread, where Python allows no handlers, it never asks for anything.
  """

  def __init__(self) -> None:
    self._received: signal.Signals | None = None
    self._before: dict[signal.Signals, object] = {}

  def __enter__(self) -> "Signals":
    for number in _CODES:
      try:
        self._before[number] = signal.signal(number, self._receive)
      except ValueError:  # not the main thread
        break
    return self

  def __exit__(self, *_: object) -> None:
    for number, handler in self._before.items():
      if callable(handler) or isinstance(handler, signal.Handlers):
        signal.signal(number, handler)

  def requested(self) -> bool:
    """Whether a signal asked to stop."""
    return self._received is not None

  def leave(self, message: str) -> NoReturn:
    """Print `message` and exit with the code of the signal received."""
    assert self._received is not None
    print(message, file=sys.stderr, flush=True)
    sys.exit(_CODES[self._received])

  def _receive(self, number: int, _frame: types.FrameType | None) -> None:
    if self._received == signal.SIGINT and number == signal.SIGINT:
      raise KeyboardInterrupt
    self._received = signal.Signals(number)


def _parse(argv: Sequence[str], passes_on: str) -> list[str]:
  if any(argument in ("--help", "-help", "--helpfull") for argument in argv):
    return app.parse_flags_with_usage(list(argv))
  foreign = any(
    passes_on and part.lstrip("-").partition("=")[0] == passes_on
    for part in argv
  )
  try:
    rest = flags.FLAGS(list(argv), known_only=foreign)
  except (flags.Error, ValueError, OSError) as error:
    fail(_own_words(error))
  except (AttributeError, KeyError) as error:
    fail(f"the config has no field {_own_words(error)}")
  if flags.FLAGS["verbosity"].using_default_value:
    # absl would raise it to INFO, and libraries have much to say there and in
    # their warnings; what bertjax has to say goes through the root logger.
    flags.FLAGS.verbosity = logging.WARNING
    logging.get_absl_logger().setLevel(standard_logging.ERROR)
    logging.get_absl_handler().setFormatter(
      standard_logging.Formatter("warning: %(message)s")
    )
  if len(rest) > 1 and not foreign:
    fail(f"{rest[1]!r} is no flag; a flag is given as --name=value")
  return rest


def _own_words(error: BaseException) -> str:
  """What went wrong with a flag, out of what libraries wrap it in."""
  # ml_collections raises errors of errors, whose text is a representation.
  inner = error.args[0] if len(error.args) == 1 else error
  if isinstance(inner, BaseException) and inner is not error:
    return _own_words(inner)
  text = str(inner)
  if "Traceback (most recent call last)" in text:
    # A config file that raised: the last line is "ValueError: …".
    last = text.rstrip().splitlines()[-1]
    return last.partition(": ")[2] or last
  return text


def _told(main: Callable[[Sequence[str]], None], argv: Sequence[str]) -> None:
  try:
    main(argv)
  except (ValueError, OSError) as error:
    if int(flags.FLAGS["verbosity"].value or 0) > 0:
      raise  # --verbosity=1 asks where it happened
    fail(error)
  except KeyboardInterrupt:
    sys.exit(INTERRUPTED)
