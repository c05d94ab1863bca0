# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The flag --config: a config that bertjax ships, by name, or a user's file.

`--config=pretrain:size=tiny` is the shipped configs/pretrain.py from any
folder, and `--config=mine/run.py:size=tiny` is the file of that path.
"""

import pathlib
import sys
from collections.abc import Mapping
from typing import Any

from absl import flags
from ml_collections import config_flags
from ml_collections.config_flags.config_flags import ConfigFileFlagParser

from launch import cli
from launch.console import flag_words

_FOLDER = pathlib.Path(__file__).parents[2] / "configs"
# Short name → file. Those without `get_config` are no config of a command.
SHIPPED: Mapping[str, pathlib.Path] = {
  "pretrain": _FOLDER / "pretrain.py",
  "finetune": _FOLDER / "finetune.py",
  **{
    name: _FOLDER / "sweeps" / f"{name}.py"
    for name in (
      "nsp",
      "nsp_books",
      "mask_rate",
      "masking",
      "size",
      "batch_and_lr",
      "packing",
    )
  },
  "sweeps/finetune": _FOLDER / "sweeps" / "finetune.py",
}


def define_flag(
  example: str,
  values: flags.FlagValues = flags.FLAGS,
  name: str = "config",
  default: str | None = None,
) -> None:
  """Define --config among the flags `values`.

  Args:
    example: a value of the flag, for its help.
    values: flags of the command.
    name: name of the flag.
    default: value where the flag is not given; None for no config.
  """
  config_flags.DEFINE_config_file(
    name,
    None,
    f"Config, for example {example}; a name of {', '.join(SHIPPED)}, or the "
    "path of a .py file.",
    values,
    lock_config=True,
  )
  values[name].parser = _Parser(name)
  if default:
    try:
      values.set_default(name, default)
    except flags.Error as error:  # of a change of a field of the default
      cli.fail(error)


def resolve(value: str, flag: str = "config") -> str:
  """Return the value of a flag with a path instead of a short name.

  Raises:
    ValueError: there is neither such a file nor such a name.
  """
  name, colon, argument = value.partition(":")
  if name in SHIPPED:
    return f"{SHIPPED[name]}{colon}{argument}"
  path = pathlib.Path(name)
  if path.is_file():
    return value
  for short, shipped in SHIPPED.items():
    if name and shipped.parts[-len(path.parts) :] == path.parts:
      raise ValueError(
        f"there is no file {name} in {pathlib.Path.cwd()}; the config that "
        f"bertjax ships is --{flag}={short}{colon}{argument}"
      )
  raise ValueError(
    f"there is no config {name!r}; give one of {', '.join(SHIPPED)}, or the "
    "path of a .py file"
  )


class _Parser(ConfigFileFlagParser):
  """Takes short names as well."""

  def parse(self, path: str) -> Any:
    config: Any = super().parse(resolve(path, self.name))
    # The library names the last part of a wrong name alone, and no other.
    flag_words.check_fields(config.to_dict(), self.name, sys.argv)
    return config
