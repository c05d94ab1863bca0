# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Commands in processes of their own, forked from one that has the libraries.

python -m tests.testing.commands imports JAX and its like, and then forks for
each line of JSON that it reads. Most of the seconds of a command that is
refused are imports of libraries; the modules of this project are imported by
each command itself. All of them have one seed of hashes: what must not depend
on it needs `subprocess`.
"""

import atexit
import contextlib
import faulthandler
import functools
import importlib
import io
import json
import os
import pathlib
import resource
import runpy
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).parents[2]
# In the order in which commands import them; those that are absent are skipped.
_LIBRARIES = (
  *("numpy.testing", "absl.app", "ml_collections.config_flags", "jax.numpy"),
  *("flax.linen", "optax", "orbax.checkpoint", "grain.python", "tokenizers"),
  *("jax.experimental.multihost_utils", "array_record.python", "fsspec.core"),
  *("rich.progress", "sentencepiece", "scipy.optimize", "scipy.special"),
  "charset_normalizer",
)
# Seconds after which a command hangs: several times those of the longest one.
_LIMIT = 300
_HANGS = "hangs"


def run_command(
  module,
  *arguments,
  cwd=ROOT,
  environment=None,
  stdin="",
  limit: float = _LIMIT,
  most_bytes: int | None = None,
) -> subprocess.CompletedProcess[str]:
  """Run `python -m MODULE ARGUMENTS`, as `subprocess.run` does.

  Args:
    module: module whose `__main__` part is run.
    arguments: its command line.
    cwd: working folder, which modules are looked for in before ROOT.
    environment: variables that it has; None: those of this process. JAX has
      read its own (JAX_…) before, so they must be the same.
    stdin: what it reads.
    limit: seconds after which it is killed.
    most_bytes: bytes for which the system gives a file of its room, as a disk
      that is nearly full does; None sets no limit.

  Raises:
    AssertionError: it has not ended by then. The message has all that it said,
      and where each of its threads was.
  """
  given = os.environ if environment is None else environment
  environment = {**given, "PYTHONPATH": str(ROOT)}
  with tempfile.TemporaryDirectory() as folder:
    paths = [os.path.join(folder, name) for name in ("in", "out", "err")]
    pathlib.Path(paths[0]).write_text(stdin, encoding="utf-8")
    asked = {
      "words": [module, *map(str, arguments)],
      "cwd": str(cwd),
      "environment": environment,
      "files": paths,
      "limit": limit,
      "most_bytes": most_bytes,
    }
    server = _server()
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write(json.dumps(asked) + "\n")
    server.stdin.flush()
    ended = server.stdout.readline().strip()
    said = [pathlib.Path(path).read_text("utf-8") for path in paths[1:]]
  if ended == _HANGS:
    command = " ".join(asked["words"])
    raise AssertionError(
      f"{command} was killed after {limit} s. It had said:\n" + "\n".join(said)
    )
  return subprocess.CompletedProcess(asked["words"], int(ended), *said)


@functools.cache
def _server() -> subprocess.Popen[str]:
  """Start the process that forks; it ends with its input, and so with this."""
  server = subprocess.Popen(
    [sys.executable, "-m", "tests.testing.commands"],
    cwd=ROOT,
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    text=True,
  )
  # Closes its input, and waits for it.
  atexit.register(server.__exit__, None, None, None)
  return server


def _serve() -> None:
  """Fork for each line; in the child, become what the line asks for."""
  for name in _LIBRARIES:
    with contextlib.suppress(ImportError):
      importlib.import_module(name)
  while line := sys.stdin.readline():
    asked = json.loads(line)
    child = os.fork()
    if not child:
      return _become(asked)
    print(_wait(child, asked["limit"]), flush=True)
  return None


def _wait(child: int, limit: float) -> int | str:
  """Return the exit code of a process; kill one that hangs."""
  # It says where it is at the limit, which takes a moment.
  deadline = time.monotonic() + limit + 1
  while True:
    ended, status = os.waitpid(child, os.WNOHANG)
    if ended:
      return os.waitstatus_to_exitcode(status)
    if time.monotonic() > deadline:
      os.kill(child, signal.SIGKILL)
      os.waitpid(child, 0)
      return _HANGS
    time.sleep(0.01)


def _become(asked) -> None:
  for number, path in enumerate(asked["files"]):
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC if number else os.O_RDONLY
    file = os.open(path, flags)
    os.dup2(file, number)
    os.close(file)
  if most := asked["most_bytes"]:
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
  os.environ.clear()
  os.environ.update(asked["environment"])
  os.chdir(asked["cwd"])
  sys.path[:] = [asked["cwd"], str(ROOT), *sys.path[1:]]
  module, *arguments = asked["words"]
  sys.argv = [module, *arguments]
  # What is said must be in the file when the process is killed.
  assert isinstance(sys.stdout, io.TextIOWrapper)
  sys.stdout.reconfigure(line_buffering=True)
  faulthandler.dump_traceback_later(asked["limit"])
  runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
  _serve()
