# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C is one line and exit code 130, whenever it comes."""

import pathlib
import signal
import subprocess
import sys

import pytest

from launch.console import interrupt

ROOT = pathlib.Path(__file__).parents[3]
# A command whose module, or whose `main`, says that it has begun and waits.
WAIT = "print('waiting', flush=True); time.sleep(60)"
# A shell starts its background jobs with interrupts ignored.
HEARING = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
"""
IMPORTING = f"""
{HEARING}
import sys, time
sys.argv = ["-m"]
import launch
try:
  {WAIT}
except BaseException:
  pass  # as an import may lose a KeyboardInterrupt
time.sleep(60)
"""
# A thread that runs when Python frees its modules crashes the process.
RUNNING = f"""
{HEARING}
import sys, threading, time
sys.argv = ["-m"]
import launch
from launch import cli
def main(argv):
  threading.Thread(target=time.sleep, args=(60,)).start()
  {WAIT}
sys.argv = ["command"]
cli.run(main, when_interrupted="do this")
"""


# An interrupt in what is called back is lost, and comes again; what is closed
# because of one is not interrupted, though it handles an error of its own.
LOSING = f"""
{HEARING}
import sys, time
sys.argv = ["-m"]
import launch
from launch import cli
from launch.console import interrupt
interrupt._SECONDS = 0.2
class Loses:
  def __del__(self):
    {WAIT}
sys.unraisablehook = lambda _: None
def main(argv):
  lost = Loses()
  del lost
  try:
    time.sleep(60)
  finally:
    try:
      raise OSError
    except OSError:
      time.sleep(1)
    print("closed", file=sys.stderr)
sys.argv = ["command"]
cli.run(main)
"""


@pytest.mark.parametrize(
  ("program", "line"),
  [
    (IMPORTING, interrupt.TEXT),
    (RUNNING, f"{interrupt.TEXT}; do this"),
    (LOSING, f"closed\n{interrupt.TEXT}"),
  ],
  ids=["importing", "running", "losing"],
)
def test_an_interrupt_is_one_line(program, line):
  with subprocess.Popen(
    [sys.executable, "-c", program],
    cwd=ROOT,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  ) as process:
    assert process.stdout
    assert process.stdout.readline() == "waiting\n"
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=50)
  assert said == f"{line}\n"
  assert process.returncode == 130


def test_a_process_that_ignores_interrupts_goes_on_ignoring_them():
  before = signal.signal(signal.SIGINT, signal.SIG_IGN)
  try:
    interrupt.stop_imports()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    interrupt.begin()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
  finally:
    signal.signal(signal.SIGINT, before)
