# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Commands in processes of their own, forked from one that has the libraries.

python -m tests.testing.commands imports JAX and its like, and then forks for
each line of JSON that it reads. Most of the seconds of a command that is
refused are imports of libraries; the modules of this project are imported by
each command itself. All of them have one seed of hashes: what must not depend
on it needs `subprocess`.
"""

import contextlib
import functools
import importlib
import json
import os
import pathlib
import runpy
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).parents[2]
# In the order in which commands import them; those that are absent are skipped.
_LIBRARIES = (
  *("numpy.testing", "absl.app", "ml_collections.config_flags", "jax.numpy"),
  *("flax.linen", "optax", "orbax.checkpoint", "grain.python", "tokenizers"),
  *("jax.experimental.multihost_utils", "array_record.python", "fsspec.core"),
  *("rich.progress", "sentencepiece", "scipy.optimize", "scipy.special"),
  "charset_normalizer",
)


def run_command(
  module, *arguments, cwd=ROOT, environment=None, stdin=""
) -> subprocess.CompletedProcess[str]:
  """Run `python -m MODULE ARGUMENTS`, as `subprocess.run` does.

  Args:
    module: module whose `__main__` part is run.
    arguments: its command line.
    cwd: working folder, which modules are looked for in before ROOT.
    environment: variables that it has; None: those of this process. JAX has
      read its own (JAX_…) before, so they must be the same.
    stdin: what it reads.
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
    }
    server = _server()
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write(json.dumps(asked) + "\n")
    server.stdin.flush()
    code = int(server.stdout.readline())
    said = [pathlib.Path(path).read_text("utf-8") for path in paths[1:]]
  return subprocess.CompletedProcess(asked["words"], code, *said)


@functools.cache
def _server() -> subprocess.Popen[str]:
  """Start the process that forks; it ends with its input, and so with this."""
  return subprocess.Popen(
    [sys.executable, "-m", "tests.testing.commands"],
    cwd=ROOT,
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    text=True,
  )


def _serve() -> None:
  """Fork for each line; in the child, become what the line asks for."""
  for name in _LIBRARIES:
    with contextlib.suppress(ImportError):
      importlib.import_module(name)
  while line := sys.stdin.readline():
    child = os.fork()
    if not child:
      return _become(json.loads(line))
    _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)
  return None


def _become(asked) -> None:
  for number, path in enumerate(asked["files"]):
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC if number else os.O_RDONLY
    file = os.open(path, flags)
    os.dup2(file, number)
    os.close(file)
  os.environ.clear()
  os.environ.update(asked["environment"])
  os.chdir(asked["cwd"])
  sys.path[:] = [asked["cwd"], str(ROOT), *sys.path[1:]]
  module, *arguments = asked["words"]
  sys.argv = [module, *arguments]
  runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
  _serve()
