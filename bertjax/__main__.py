# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The command `bertjax`, and `python -m bertjax`: hand over to `launch`.

bertjax is installed as four top-level packages, and `configs` and `launch` are
names that a user's own project may have as well. The command does not look in
the working folder, so that these hide nothing. What else comes before
bertjax's packages on the path is refused in one line.
"""

import importlib
import importlib.util
import os
import pathlib
import sys
import traceback
import types

# Named and not imported, because the library imports no launcher.
_HANDS_OVER_TO = "launch.commands.table"
_NEIGHBORS = ("launch", "configs", "data_pipelines")
# Where JAX reads its variables, as it is imported.
_READS = ("jax", "_src", "config.py")
_ROOT = pathlib.Path(__file__).parents[1]


def find_hidden() -> str | None:
  """Return a line about a package that hides one of bertjax's, if any does."""
  for name in _NEIGHBORS:
    found = _find(name)
    if found is None:
      return (
        f"{name} is not installed beside {_ROOT / 'bertjax'}; install bertjax "
        "again"
      )
    if found.resolve() != (_ROOT / name).resolve():
      return f"{found} hides bertjax's own {_ROOT / name}; {_fix(found)}"
  return None


def _find(name: str) -> pathlib.Path | None:
  """Return the folder, or the file, that `import name` would read."""
  spec = importlib.util.find_spec(name)
  if spec is None:
    return None
  places = spec.submodule_search_locations
  return pathlib.Path(next(iter(places)) if places else spec.origin or "")


def _fix(found: pathlib.Path) -> str:
  folder = found.parent.resolve()
  listed = os.environ.get("PYTHONPATH", "").split(os.pathsep)
  if any(part and pathlib.Path(part).resolve() == folder for part in listed):
    return f"take {found.parent} off PYTHONPATH"
  if folder == pathlib.Path.cwd():
    return (
      "run `bertjax COMMAND` instead of `python -m launch.COMMAND`, because it "
      "does not look in the working folder"
    )
  return f"rename {found}"


def explain_variables() -> None:
  """Print one line where JAX cannot read a JAX_… variable, and no traceback."""
  sys.excepthook = _explain


def _explain(
  kind: type[BaseException],
  error: BaseException,
  trace: types.TracebackType | None,
) -> None:
  places = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(trace)]
  read = bool(places) and pathlib.Path(places[-1]).parts[-3:] == _READS
  if isinstance(error, ValueError) and read:
    fix = "correct the variable of the environment, or leave it out"
    sys.stderr.write(f"error: {error}; {fix}\n")
  else:
    sys.__excepthook__(kind, error, trace)


def run() -> None:
  """Run the command of `sys.argv`; see `launch.commands.table`."""
  explain_variables()
  if hidden := find_hidden():
    sys.exit(f"error: {hidden}")
  importlib.import_module(_HANDS_OVER_TO).main(sys.argv[1:])


def run_script() -> None:
  """Run the console script, whose path has no working folder.

  Processes that it starts (`python -m …`) do not look there either.
  """
  os.environ["PYTHONSAFEPATH"] = "1"
  run()


if __name__ == "__main__":
  run()
