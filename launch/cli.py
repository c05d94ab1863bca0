# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""How a launcher starts, reports a mistake, and stops at a signal.

Exit codes: 0 done; 1 a mistake that the user has to correct (bad config, bad
data, a loss of nan); 42 stopped by SIGTERM, by the loss of another process or
by a hang, start the same command again; 130 stopped by Ctrl-C; 141 nobody reads
the output any more, as in `… | head -1`.
"""

import glob
import importlib.util
import logging as standard_logging
import os
import re
import signal
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NoReturn, Protocol

from absl import app, flags, logging

from bertjax.config import renamed
from bertjax.parallel import backend
from launch.console import console_text, flag_words, full_disk, interrupt

RESTART = 42
INTERRUPTED = interrupt.CODE
_CODES = {signal.SIGTERM: RESTART, signal.SIGINT: INTERRUPTED}
# Takes the error and the exit code; None leaves the code to the hook.
ExitHook = Callable[[BaseException | str, int | None], NoReturn]
# Index of this process, and how it exits; empty in a run of one process.
_process_index: list[int] = []
_STOPPING = "stopping once the state is saved; Ctrl-C again stops at once\n"
# How Python says that a value is no number.
_NO_NUMBER = re.compile(
  r"(?:invalid literal for|could not convert string to) (int|float)[^:]*: (.+)"
)
# How absl says that a flag is missing.
_MISSING = re.compile(r"flag --(\S+)=None: Flag --\1 must have a value")
_exit_hook: list[ExitHook] = []


def run(
  main: Callable[[Sequence[str]], None],
  *,
  passes_on: str = "",
  takes: Literal["flags", "rest", "folders"] = "flags",
  when_interrupted: str = "",
  renamed_flags: Mapping[str, str] | None = None,
) -> NoReturn:
  """Parse flags, run `main`, exit; a mistake is one line, no traceback.

  Args:
    main: as `absl.app.run` calls it.
    passes_on: name of a flag; if the user gives it, unknown flags are passed
      to `main` and are no mistake.
    takes: which arguments that are no flags reach `main`: none, those after a
      `--`, or all, wherever they stand.
    when_interrupted: what a user can do after Ctrl-C.
    renamed_flags: {old name of a flag: its name}.
  """
  _disable_missing_tpu()
  console_text.print_all()
  try:
    app.run(
      lambda argv: _run_main(main, argv, when_interrupted),
      flags_parser=lambda argv: _parse(
        argv, passes_on, takes, renamed_flags or {}
      ),
    )
  except BrokenPipeError:  # of --help
    interrupt.drop_output()
    sys.exit(interrupt.UNREAD)
  sys.exit(0)


def fail(error: BaseException | str, code: int = 1) -> NoReturn:
  """Print `error: …` on standard error and exit."""
  prefix = [f"process {index}:" for index in _process_index]
  text = full_disk.explain(error) or str(error)
  said = flag_words.with_flags(" ".join(text.split()))
  line = " ".join(("error:", *prefix, said))
  print(line, file=sys.stderr, flush=True)
  _exit(error, code)


def quiet_libraries() -> None:
  """Have warnings of the root logger logged, and errors alone of libraries."""
  # absl would raise it to INFO, where libraries are noisy, as they are in
  # their warnings; bertjax logs through the root logger.
  flags.FLAGS.verbosity = logging.WARNING
  logging.get_absl_logger().setLevel(standard_logging.ERROR)
  logging.get_absl_handler().setFormatter(
    standard_logging.Formatter("warning: %(message)s")
  )


def set_log_prefix(process_index: int) -> None:
  """Put the process index in front of errors.

  Warnings are the same on every process: only process 0 prints them.
  """
  _process_index[:] = [process_index]
  if process_index:
    standard_logging.getLogger().setLevel(standard_logging.ERROR)
    logging.set_verbosity(logging.ERROR)
    logging.get_absl_handler().setFormatter(
      standard_logging.Formatter(f"error: process {process_index}: %(message)s")
    )


def set_exit_hook(hook: ExitHook) -> None:
  """Have a process that fails exit by `hook`; see `launch.hosts.failure`."""
  _exit_hook[:] = [hook]


class StopSync(Protocol):
  """Makes several processes stop at one step; see `launch.hosts.preemption`."""

  @property
  def signal(self) -> int | None:
    """The signal that any process received, once all know."""

  def request(self, number: int) -> None:
    """Ask all processes to stop, because this one received a signal."""

  def is_due(self, step: int) -> bool:
    """Whether all processes stop before this step."""
    ...

  def close(self) -> None:
    """Stop listening to the other processes."""


class Signals:
  """Turn SIGTERM and Ctrl-C into a request to stop that the loop reads.

  A second Ctrl-C interrupts at once. Use it as a context; outside the main
  thread, where Python allows no signal handlers, it never requests anything.

  Args:
    sync: how several processes agree on the step; None for a single process.
  """

  def __init__(self, sync: StopSync | None = None) -> None:
    self._received: signal.Signals | None = None
    self._before: dict[signal.Signals, object] = {}
    self._sync = sync
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
    if self._sync is not None:
      self._sync.close()

  def requested(self, step: int | None = None) -> bool:
    """Return whether to stop: before `step`, or at all if it is None."""
    if self._sync is None:
      return self._received is not None
    if step is not None and not self._due:
      self._due = self._sync.is_due(step)
    return self._due

  def leave(self, message: str) -> NoReturn:
    """Print `message` on process 0; exit with the code of the signal."""
    number = self._received
    if self._sync is not None and self._sync.signal is not None:
      number = signal.Signals(self._sync.signal)
    assert number is not None
    if not any(_process_index):
      print(message, file=sys.stderr, flush=True)
    sys.exit(_CODES[number])

  def _receive(self, number: int, _frame: types.FrameType | None) -> None:
    if self._received == signal.SIGINT and number == signal.SIGINT:
      raise KeyboardInterrupt
    if number == signal.SIGINT and not any(_process_index):
      # A first step compiles for long. A handler may not print.
      os.write(2, _STOPPING.encode())
    self._received = signal.Signals(number)
    if self._sync is not None:
      self._sync.request(number)


def _disable_missing_tpu() -> None:
  """Keep JAX from looking for a TPU where libtpu is installed without one.

  `launch.plan` uses libtpu on any host, to compile for TPUs. JAX starts it too,
  and without a TPU it prints alarming lines and may search for seconds.
  """
  if "JAX_PLATFORMS" in os.environ or not importlib.util.find_spec("libtpu"):
    return
  # A TPU is accel* or vfio*, by its generation; the others are GPUs (dxg is a
  # GPU in WSL).
  devices = ("accel*", "vfio*", "nvidia*", "kfd", "dxg")
  if any(glob.glob(f"/dev/{name}") for name in devices):
    return
  os.environ["JAX_PLATFORMS"] = "cpu"
  if "jax" in sys.modules:  # it has read the environment already
    sys.modules["jax"].config.update("jax_platforms", "cpu")


def _parse(
  argv: Sequence[str],
  passes_on: str,
  takes: str,
  renamed_flags: Mapping[str, str],
) -> list[str]:
  if any(argument in ("--help", "-help", "--helpfull") for argument in argv):
    _list_own_flags()
    return app.parse_flags_with_usage(list(argv))
  foreign = any(
    passes_on and part.lstrip("-").partition("=")[0] == passes_on
    for part in argv
  )
  argv = [_expand_home(argument) for argument in argv]
  if unread := console_text.find_unreadable(argv):
    fail(unread)
  if takes == "folders":
    flags.FLAGS.set_gnu_getopt()  # flags may follow folders
  try:
    _refuse_renamed(argv, renamed_flags)
    rest = flags.FLAGS(list(argv), known_only=foreign)
  except (flags.Error, ValueError, OSError) as error:
    fail(_unwrap_message(error))
  except (AttributeError, KeyError) as error:
    fail(f"the config has no field {_unwrap_message(error)}")
  if flags.FLAGS["verbosity"].using_default_value:
    quiet_libraries()
  taken = takes == "folders" or (takes == "rest" and "--" in argv)
  if len(rest) > 1 and not foreign and not taken:
    fail(f"{rest[1]!r} is no flag; a flag is given as --name=value")
  return rest


def _list_own_flags() -> None:
  """Have --help list the flags that other modules of `launch` define."""
  values = flags.FLAGS
  for module, defined in values.flags_by_module_dict().items():
    if module.startswith("launch."):
      for flag in defined:
        values.register_key_flag_for_module(sys.argv[0], flag)


def _expand_home(argument: str) -> str:
  """Expand `--name=~/…`, which a shell leaves as it is."""
  name, equals, value = argument.partition("=")
  if name.startswith("-") and (value == "~" or value.startswith("~/")):
    return name + equals + os.path.expanduser(value)
  return argument


def _refuse_renamed(
  argv: Sequence[str], renamed_flags: Mapping[str, str]
) -> None:
  # ml_collections refuses an old name as well, but does not say the new one.
  for argument in argv:
    name, _, value = argument.lstrip("-").partition("=")
    if argument.startswith("-") and name in renamed_flags:
      raise ValueError(f"--{name} is now --{renamed_flags[name]}; give that")
    if name.startswith("config."):
      renamed.refuse(name.removeprefix("config."), value, prefix="--config.")


def _unwrap_message(error: BaseException) -> str:
  """Return what is wrong with a flag, without what libraries add to it."""
  # ml_collections raises errors whose argument is another error.
  inner = error.args[0] if len(error.args) == 1 else error
  if isinstance(inner, BaseException) and inner is not error:
    return _unwrap_message(inner)
  text = str(inner)
  if missing := _MISSING.findall(text):
    needed = " and ".join(f"--{name}=…" for name in missing)
    return f"give {needed}; --help explains the flags"
  if "Traceback (most recent call last)" in text:
    # A config file that raised: the last line is "ValueError: …".
    last = text.rstrip().splitlines()[-1]
    return last.partition(": ")[2] or last
  text = _NO_NUMBER.sub(r"\2 is no \1", text)
  return re.sub(r"\s+Did you mean ", "; did you mean ", text)


def _run_main(
  main: Callable[[Sequence[str]], None],
  argv: Sequence[str],
  when_interrupted: str,
) -> None:
  interrupt.begin()
  try:
    if "jax" in sys.modules:
      backend.check_flags()
    main(argv)
    sys.stdout.flush()
  except (ValueError, OSError) as error:
    if isinstance(error, BrokenPipeError) and interrupt.is_unread():
      interrupt.drop_output(interrupt.UNREAD_TEXT, when_interrupted)
      _exit(error, interrupt.UNREAD)
    if int(flags.FLAGS["verbosity"].value or 0) > 0:
      raise  # --verbosity=1 asks for the traceback
    # A process that did not answer in time may do so after a restart.
    fail(error, RESTART if isinstance(error, TimeoutError) else 1)
  except KeyboardInterrupt as error:
    interrupt.end()
    line = "; ".join(filter(None, (interrupt.TEXT, when_interrupted)))
    print(line, file=sys.stderr)
    if _exit_hook:
      _exit(error, INTERRUPTED)
    interrupt.leave()
  except Exception as error:
    if reason := backend.explain(error) or full_disk.explain(error):
      fail(reason)
    if not _exit_hook:
      raise
    _exit(error, None)


def _exit(error: BaseException | str, code: int | None) -> NoReturn:
  for hook in _exit_hook:
    hook(error, code)
  sys.exit(code)
