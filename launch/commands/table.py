# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The commands of `bertjax`, and the module that each one runs."""

import ast
import difflib
import pathlib
import runpy
import sys
import textwrap
from collections.abc import Mapping, Sequence
from typing import NoReturn

import bertjax
from launch.commands.shipped_configs import SHIPPED
from launch.console import interrupt

# In the order of a project. `bertjax NAME …` is `python -m MODULE …`.
COMMANDS: Mapping[str, str] = {
  "prepare": "launch.prepare",
  "doctor": "launch.doctor",
  "plan": "launch.plan",
  "rehearse": "launch.rehearse",
  "pods": "launch.pods",
  "pretrain": "launch.pretrain",
  "finetune": "launch.finetune",
  "glue": "launch.glue",
  "evaluate": "launch.evaluate",
  "predict": "launch.predict",
  "embed": "launch.embed",
  "export": "launch.export",
  "import_weights": "launch.import_weights",
  "sweep": "launch.sweep",
  "compare": "launch.compare",
  "recipes": "launch.commands.recipes",
  "demo": "launch.demo",
}
_ROOT = pathlib.Path(__file__).parents[2]


def main(arguments: Sequence[str]) -> None:
  """Run the command that comes first in `arguments` with all the others."""
  if not arguments:
    _fail(f"no command is given; give one of {', '.join(COMMANDS)}, or --help")
  name, *rest = arguments
  if name in ("--help", "-h", "-help", "help"):
    try:
      print(usage(), flush=True)
    except BrokenPipeError:
      interrupt.drop_output()
      sys.exit(interrupt.UNREAD)
  elif name in ("--version", "version"):
    print(f"bertjax {bertjax.__version__}")
  elif name in COMMANDS:
    sys.argv = [name, *rest]
    interrupt.stop_imports()
    runpy.run_module(COMMANDS[name], run_name="__main__", alter_sys=True)
  else:
    _fail(f"{name!r} is no command; {_suggest(name)}")


def usage() -> str:
  """Return the commands, each with the first line of its docstring."""
  width = max(map(len, COMMANDS))
  lines = [
    f"  {name:<{width}}  {summary(module)}" for name, module in COMMANDS.items()
  ]
  return "\n".join(
    (
      "usage: bertjax COMMAND --flag=value …",
      "",
      *lines,
      "",
      *textwrap.wrap(
        "`bertjax COMMAND --help` lists the flags of a command. --config takes "
        f"{', '.join(SHIPPED)}, or the path of a .py file, and overlays after "
        "a colon: --config=pretrain:size=tiny,recipe=short",
        78,
        break_long_words=False,
        break_on_hyphens=False,
      ),
    )
  )


def summary(module: str) -> str:
  """Return the first line of a launcher's docstring; imports nothing."""
  place = _ROOT.joinpath(*module.split("."))
  path = place / "__main__.py" if place.is_dir() else place.with_suffix(".py")
  text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
  return (text or "").partition("\n")[0]


def _suggest(name: str) -> str:
  name = name.removeprefix("launch.").replace("-", "_")
  if near := difflib.get_close_matches(name, COMMANDS, n=1):
    return f"did you mean `bertjax {near[0]}`?"
  return f"give one of {', '.join(COMMANDS)}"


def _fail(text: str) -> NoReturn:
  sys.exit(f"error: {text}")
