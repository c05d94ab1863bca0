# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""How a launcher starts, and how it tells its user what went wrong.

Exit codes: 0 done, 1 a mistake to correct (bad config, bad data, a loss of
nan), 42 stopped by SIGTERM or without its peers, and to be started again, 130
stopped by Ctrl-C.
"""

import glob
import importlib.util
import logging as standard_logging
import os
import signal
import sys
import types
from collections.abc import Callable, Sequence
from typing import NoReturn, Protocol

from absl import app, flags, logging

from bertjax.config import renamed

RESTART = 42
INTERRUPTED = 130
_CODES = {signal.SIGTERM: RESTART, signal.SIGINT: INTERRUPTED}
# The number of this process, where there are several; and how it leaves them.
_process: list[int] = []
_departure: list["Departure"] = []
# The error, and the code to exit with; None is for the departure to say.
Departure = Callable[[BaseException | str, int | None], NoReturn]


def run(
  main: Callable[[Sequence[str]], None],
  *,
  passes_on: str = "",
  takes_rest: bool = False,
) -> NoReturn:
  """Parse flags, run `main`, exit; a mistake is one line, no traceback.

  `main` takes what absl's mains take. No arguments are left over, unless the
  flag named `passes_on` is given: then unknown ones are somebody else's; or
  `takes_rest`: then so is what follows a `--`.
  """
  _spare_the_tpu()
  app.run(
    lambda argv: _told(main, argv),
    flags_parser=lambda argv: _parse(argv, passes_on, takes_rest),
  )
  sys.exit(0)


def fail(error: BaseException | str, code: int = 1) -> NoReturn:
  """Print `error: …` on standard error and exit."""
  who = [f"process {number}:" for number in _process]
  text = " ".join((*who, *str(error).split()))
  print(f"error: {text}", file=sys.stderr, flush=True)
  _leave(error, code)


def speak_as(process: int) -> None:
  """Say of errors which of several processes they are of.

  All but the first say nothing else: a warning is of all, and told by one.
  """
  _process[:] = [process]
  if process:
    standard_logging.getLogger().setLevel(standard_logging.ERROR)
    logging.set_verbosity(logging.ERROR)
    logging.get_absl_handler().setFormatter(
      standard_logging.Formatter(f"error: process {process}: %(message)s")
    )


def leave_by(departure: Departure) -> None:
  """Have a process that fails call this last; see `launch.hosts.failure`."""
  _departure[:] = [departure]


class Together(Protocol):
  """How several processes stop at one step; see `launch.hosts.preemption`."""

  @property
  def signal(self) -> int | None:
    """What one of them received."""

  def announce(self, number: int) -> None:
    """Tell that this one received it."""

  def due(self, step: int) -> bool:
    """Whether all stop before this step."""
    ...

  def close(self) -> None:
    """Listen no more."""


class Signals:
  """Turns SIGTERM and Ctrl-C into a request that the loop reads.

  A second Ctrl-C interrupts at once. Use as a context; outside the main
  thread, where Python allows no handlers, it never asks for anything.

  Args:
    together: of several processes, which stop at one step; None is one alone.
  """

  def __init__(self, together: Together | None = None) -> None:
    self._received: signal.Signals | None = None
    self._before: dict[signal.Signals, object] = {}
    self._together = together
    self._due = False

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
    if self._together is not None:
      self._together.close()

  def requested(self, step: int | None = None) -> bool:
    """Whether a signal asked to stop, before `step` if one is given."""
    if self._together is None:
      return self._received is not None
    if step is not None and not self._due:
      self._due = self._together.due(step)
    return self._due

  def leave(self, message: str) -> NoReturn:
    """Print `message`, once; exit with the code of the signal received."""
    number = self._received
    if self._together is not None and self._together.signal is not None:
      number = signal.Signals(self._together.signal)
    assert number is not None
    if not any(_process):
      print(message, file=sys.stderr, flush=True)
    sys.exit(_CODES[number])

  def _receive(self, number: int, _frame: types.FrameType | None) -> None:
    if self._received == signal.SIGINT and number == signal.SIGINT:
      raise KeyboardInterrupt
    self._received = signal.Signals(number)
    if self._together is not None:
      self._together.announce(number)


def _spare_the_tpu() -> None:
  """Have JAX look for no TPU where libtpu is installed and none is there.

  libtpu compiles for TPUs on any host (`launch.plan`); started on one that
  has none, it prints alarming lines and may search for seconds.
  """
  if "JAX_PLATFORMS" in os.environ or not importlib.util.find_spec("libtpu"):
    return
  # Chips of Google's, in their two ways, and graphics cards (dxg: of WSL).
  devices = ("accel*", "vfio*", "nvidia*", "kfd", "dxg")
  if any(glob.glob(f"/dev/{name}") for name in devices):
    return
  os.environ["JAX_PLATFORMS"] = "cpu"
  if "jax" in sys.modules:  # which has read that already
    sys.modules["jax"].config.update("jax_platforms", "cpu")


def _parse(argv: Sequence[str], passes_on: str, takes_rest: bool) -> list[str]:
  if any(argument in ("--help", "-help", "--helpfull") for argument in argv):
    return app.parse_flags_with_usage(list(argv))
  foreign = any(
    passes_on and part.lstrip("-").partition("=")[0] == passes_on
    for part in argv
  )
  try:
    _refuse_renamed(argv)
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
  if len(rest) > 1 and not foreign and not (takes_rest and "--" in argv):
    fail(f"{rest[1]!r} is no flag; a flag is given as --name=value")
  return rest


def _refuse_renamed(argv: Sequence[str]) -> None:
  # ml_collections refuses an old name as well, but does not say the new one.
  for argument in argv:
    name, _, value = argument.lstrip("-").partition("=")
    if name.startswith("config."):
      renamed.refuse(name.removeprefix("config."), value, prefix="--config.")


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
    # Whoever did not answer may do so next time.
    fail(error, RESTART if isinstance(error, TimeoutError) else 1)
  except KeyboardInterrupt as error:
    _leave(error, INTERRUPTED)
  except Exception as error:
    if not _departure:
      raise
    _leave(error, None)


def _leave(error: BaseException | str, code: int | None) -> NoReturn:
  for departure in _departure:
    departure(error, code)
  sys.exit(code)
