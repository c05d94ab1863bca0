# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
r"""Rehearse a run of several hosts on this machine, with virtual CPU devices.

  python -m launch.rehearse --processes=2 --devices_per_process=4 -- \
    launch.pretrain --config=pretrain:size=tiny \
    --config.data.store=DIR --workdir=DIR

Starts the launcher behind `--` once for each process, as the hosts of a pod
would, `launch.pretrain` or `launch.finetune`; the processes meet over the
loopback. Each line of output has the index
of its process in front. Ctrl-C and SIGTERM are passed on. When a process fails,
the others get --grace seconds to notice it; the exit code is that of the first
to fail, and no process is left running.
"""

import contextlib
import ctypes
import importlib.util
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import IO

from absl import flags

from launch import cli
from launch.commands.table import COMMANDS

_POLL_SECONDS = 0.1
_DEVICES = "--xla_force_host_platform_device_count"
# Many devices share few cores, so that a collective may be slow without being
# stuck.
_COLLECTIVE_TIMEOUTS = {
  "--xla_cpu_collective_call_terminate_timeout_seconds": 300,
  "--xla_cpu_collective_timeout_seconds": 300,
}
_SET_PARENT_DEATH_SIGNAL = 1  # linux/prctl.h
# What gloo logs about its connections, without the numbers.
_GLOO = re.compile(
  r"\[Gloo\] Rank | is connected to | peer ranks\. |"
  r"Expected number of connected peer ranks is : "
)


def run(
  command: Sequence[str],
  *,
  processes: int,
  devices_per_process: int,
  grace: float = 15.0,
) -> int:
  """Run a launcher in several processes; return the exit code.

  Args:
    command: module of the launcher, and its flags.
    processes: number of processes.
    devices_per_process: number of virtual CPU devices of each process.
    grace: seconds that the others get to exit once a process has failed.

  Raises:
    ValueError: a number is below 1, or there is no such launcher.
  """
  check(command, processes, devices_per_process)
  address = f"127.0.0.1:{free_port()}"
  commands = [
    [
      *(sys.executable, "-m", _module(command[0]), *command[1:]),
      f"--coordinator_address={address}",
      f"--num_processes={processes}",
      f"--process_id={number}",
    ]
    for number in range(processes)
  ]
  with (
    _started(commands, environment(devices_per_process)) as children,
    _passing_on(children),
  ):
    return _wait(children, grace)


def check(command: Sequence[str], processes: int, devices: int) -> None:
  """Check the command and the numbers.

  Raises:
    ValueError: a number is below 1, or there is no such launcher.
  """
  if processes < 1 or devices < 1:
    raise ValueError(
      f"--processes={processes} --devices_per_process={devices}; give 1 or more"
    )
  if not command:
    raise ValueError(
      "no launcher is given; give it and its flags after --, as in "
      "launch.rehearse --processes=2 -- launch.pretrain --config=…"
    )
  try:
    found = importlib.util.find_spec(_module(command[0]))
  except (ImportError, ValueError):
    found = None
  if found is None:
    raise ValueError(
      f"{command[0]} is no module; give one, for example launch.pretrain"
    )


def _module(name: str) -> str:
  """Return the module of a command of `bertjax`, or a module's own name."""
  return COMMANDS.get(name, name)


def environment(devices: int) -> dict[str, str]:
  """Return the environment of a process with `devices` virtual CPU devices."""
  known = os.environ.get("XLA_FLAGS", "").split()
  names = {flag.partition("=")[0] for flag in known}
  kept = [flag for flag in known if not flag.startswith(_DEVICES)]
  timeouts = [
    f"{name}={value}"
    for name, value in _COLLECTIVE_TIMEOUTS.items()
    if name not in names
  ]
  return {
    **os.environ,
    "JAX_PLATFORMS": "cpu",
    "TPU_SKIP_MDS_QUERY": "1",
    "PYTHONUNBUFFERED": "1",
    "XLA_FLAGS": " ".join([*kept, f"{_DEVICES}={devices}", *timeouts]),
  }


@contextlib.contextmanager
def _started(
  commands: Sequence[Sequence[str]], variables: Mapping[str, str]
) -> Iterator[list[subprocess.Popen[str]]]:
  children: list[subprocess.Popen[str]] = []
  readers: list[threading.Thread] = []
  try:
    for command in commands:
      children.append(_start(command, variables))  # noqa: PERF401
    for number, child in enumerate(children):
      for source, sink in (
        (child.stdout, sys.stdout),
        (child.stderr, sys.stderr),
      ):
        reader = threading.Thread(
          target=_pass_lines, args=(number, source, sink)
        )
        reader.start()
        readers.append(reader)
    yield children
  finally:
    for child in children:
      with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
      child.wait()
    for reader in readers:
      reader.join()


def _start(
  command: Sequence[str], variables: Mapping[str, str]
) -> subprocess.Popen[str]:
  return subprocess.Popen(
    command,
    env=variables,
    stdin=subprocess.DEVNULL,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
    errors="replace",
    # A process group of its own: it gets signals from us only, and can be
    # killed together with its input workers.
    start_new_session=True,
    preexec_fn=_make_die_with(os.getpid()) if sys.platform == "linux" else None,
  )


def _make_die_with(parent: int) -> Callable[[], None]:
  """Return what makes Linux kill a child as soon as its parent is dead."""
  libc = ctypes.CDLL(None)

  def ask() -> None:
    libc.prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
      os._exit(1)  # the parent died before this call

  return ask


def _pass_lines(number: int, source: IO[str] | None, sink: IO[str]) -> None:
  for line in without_gloo(source or ()):
    sink.write(f"[{number}] {line.rstrip()}\n")
    sink.flush()


def without_gloo(lines: Iterable[str]) -> Iterator[str]:
  """Yield `lines` without those that gloo logs about its connections.

  Gloo's threads write parts of lines at the same time, so that a number or the
  end of a line may come after the line that it belongs to. A line that has any
  other text is kept whole.
  """
  after = False
  for line in lines:
    rest, matches = _GLOO.subn("", line)
    left_over = not rest.strip() or rest.strip().isdecimal()
    if not left_over or not (matches or after):
      yield line
    after = bool(matches) or (after and left_over)


@contextlib.contextmanager
def _passing_on(children: Sequence[subprocess.Popen[str]]) -> Iterator[None]:
  def pass_on(number: int, _frame: types.FrameType | None) -> None:
    for child in children:
      if child.poll() is None:
        child.send_signal(number)

  before = {}
  for number in (signal.SIGINT, signal.SIGTERM):
    with contextlib.suppress(ValueError):  # not the main thread
      before[number] = signal.signal(number, pass_on)
  try:
    yield
  finally:
    for number, handler in before.items():
      signal.signal(number, handler)


def _wait(children: Sequence[subprocess.Popen[str]], grace: float) -> int:
  code, deadline = 0, float("inf")
  while time.monotonic() < deadline:
    codes = [child.poll() for child in children]
    failed = [each for each in codes if each]
    if not code and failed:
      code, deadline = _exit_code(failed[0]), time.monotonic() + grace
    if None not in codes:
      return code
    time.sleep(_POLL_SECONDS)
  left = [
    number for number, child in enumerate(children) if child.poll() is None
  ]
  print(
    f"a process exited with {code}; {grace:.0f} s later, killing "
    + ", ".join(f"process {number}" for number in left),
    file=sys.stderr,
    flush=True,
  )
  return code


def _exit_code(code: int) -> int:
  """Return the code as a shell does: 128 + the signal that killed it."""
  return code if code > 0 else 128 - code


def free_port() -> int:
  """Return a port of the loopback that is free now."""
  with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    return probe.getsockname()[1]


def define_flags() -> None:
  """Define the flags; not at import, because others call `run`."""
  flags.DEFINE_integer("processes", 2, "Number of processes.")
  flags.DEFINE_integer(
    "devices_per_process", 4, "Virtual CPU devices of each process."
  )
  flags.DEFINE_float(
    "grace",
    15.0,
    "Seconds that the other processes get to exit once one has failed.",
  )


def main(arguments: Sequence[str]) -> None:
  """Rehearse the command after `--`."""
  values = flags.FLAGS
  code = run(
    arguments[1:],
    processes=values.processes,
    devices_per_process=values.devices_per_process,
    grace=values.grace,
  )
  if code:
    sys.exit(code)


if __name__ == "__main__":
  define_flags()
  cli.run(main, takes="rest")
