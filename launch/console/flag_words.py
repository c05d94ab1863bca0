# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What is wrong, in words that a user of a command can paste.

The library knows fields and not flags: it says `give model.pooler=True`, or
`leave workers out`. Only a command knows what a field is called on its line.
"""

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from absl import flags

from bertjax.config import flatten_fields, renamed

# A name in front of its value or as what to leave out, but not inside of a
# flag, of a path or of a quoted example.
_FIELD = re.compile(
  r"(?<![^\s(])(?:(?P<given>[a-z]\w*(?:\.\w+)*)(?==[^\s=])"
  r"|(?<=\bleave )(?P<left>[a-z]\w*(?:\.\w+)*)(?= out\b))"
)

# How alike two names are, where one is likely meant by the other.
_ALIKE = 0.75


def with_flags(message: str, values: flags.FlagValues = flags.FLAGS) -> str:
  """Return a message whose fix, behind its first `; `, has flags for fields.

  Args:
    message: one line; what happened, then the fix.
    values: flags of the command.
  """
  told, mark, fix = message.partition("; ")
  known = _flags_of_fields(values) if mark else {}

  def flag(found: re.Match[str]) -> str:
    name = found["given"] or found["left"]
    return known.get(name, name)

  return told + mark + _FIELD.sub(flag, fix)


def _flags_of_fields(values: flags.FlagValues) -> dict[str, str]:
  """Return {name: its flag} of the fields of configs, and of the flags."""
  found = {}
  for name in values:
    config: Any = values[name].value
    if hasattr(config, "to_dict"):
      fields = flatten_fields(config.to_dict())
      found |= {field: f"--{name}.{field}" for field in fields}
  return found | {name: f"--{name}" for name in values}


def check_fields(
  config: Mapping[str, Any], flag: str, argv: Sequence[str]
) -> None:
  """Refuse changes of fields that a config does not have.

  Args:
    config: nested fields of the config.
    flag: name of the flag of the config.
    argv: arguments of the command.

  Raises:
    flags.Error: `--FLAG.NAME` has no such field, or is a group of fields.
  """
  change = re.compile(rf"--?(?:no)?{re.escape(flag)}\.([\w.]+)(?:=(.*))?", re.S)
  for argument in argv:
    # What has an index, as `arms[0]`, is left to the library.
    if found := change.fullmatch(argument):
      _check_field(config, f"--{flag}", *found.groups())


def _check_field(
  config: Mapping[str, Any], flag: str, path: str, value: str | None
) -> None:
  here: Any = config
  above = flag
  for name in path.split("."):
    if not isinstance(here, Mapping):
      raise flags.Error(
        f"{flag}.{path}: {above} is one value and has no fields; give {above}=…"
      )
    if name not in here:
      raise flags.Error(
        f"{flag}.{path}: the config has no such field; "
        f"{_instead(config, flag, path, above, here)}"
      )
    here, above = here[name], f"{above}.{name}"
  if isinstance(here, Mapping) and not (value or "{").startswith("{"):
    raise flags.Error(
      f"{above}={value}: {above} has fields; give one of them, as "
      f"{above}.{next(iter(here), 'NAME')}=…"
    )


def _instead(
  config: Mapping[str, Any],
  flag: str,
  path: str,
  above: str,
  group: Mapping[str, Any],
) -> str:
  """Return the fix for a field that `group`, whose flag is `above`, lacks."""
  if other := renamed.instead(path):
    return f"give {flag}.{other}"
  last = path.rpartition(".")[2]
  known = {each.rpartition(".")[2]: each for each in flatten_fields(config)}
  if near := difflib.get_close_matches(last, known, n=1, cutoff=_ALIKE):
    return f"did you mean {flag}.{known[near[0]]}?"
  return f"{above} has {', '.join(sorted(group))}"
