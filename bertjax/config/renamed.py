# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Config fields and values that have been renamed.

Files keep the names of the version that wrote them: apply `current` to every
config, identity and trial result that is read. A user must type today's names:
`refuse` raises an error of one line with the new name.
"""

from collections.abc import Mapping
from typing import Any

# Old name of a field → its new name. A name also matches at the end of a longer
# one: the config of a study has `pretrain.objective.…`.
FIELDS = {"objective.random_pieces": "objective.random_tokens"}
# New name of a field → {old value: new value}.
VALUES = {"objective.mask_unit": {"piece": "token"}}
# Fields that the config of fine-tuning had and never read → the fields that it
# reads instead.
GONE = {
  "optimizer.learning_rate": "learning_rates",
  "optimizer.warmup_steps": "warmup_rate",
}
# Fields whose value means nothing today → what to give instead. Rows of
# validation were counted in batches, so that runs of two batch sizes were
# validated on different rows.
REPLACED = {"evaluation.batches": "evaluation.rows, a number of rows"}
# A stored config with all of these fields is of fine-tuning.
_OF_FINETUNING = frozenset({"warmup_rate", "pooling", "optimizer"})


def current(stored: Mapping[str, Any]) -> dict[str, Any]:
  """Return a stored mapping with today's names of fields and values.

  The fields in `GONE` and `REPLACED` are left out.

  Args:
    stored: a nested config, or a flat record with dotted names; other entries
      stay as they are.
  """
  return _current(stored, "")


def instead(name: str) -> str:
  """Return the field that replaces a field in `GONE`, or "" for others."""
  other = _replaced(name, GONE)
  return other if other != name else ""


def refuse(name: str, value: Any = None, prefix: str = "") -> None:
  """Raise a `ValueError` if a field or its value was renamed or replaced.

  Args:
    name: dotted name of the field.
    value: the given value, if it is known.
    prefix: text before the field's name in the message.
  """
  now = _replaced(name, FIELDS)
  if now != name:
    raise ValueError(f"{prefix}{name} is now {prefix}{now}; give that")
  other = _replaced(name, REPLACED)
  if other != name:
    raise ValueError(
      f"{prefix}{name} is no field any more; give {prefix}{other}"
    )
  became = _value(name, value)
  if became is not value:  # nan equals nothing
    raise ValueError(
      f"{prefix}{name}={value} is now {prefix}{name}={became}; give that"
    )


def _current(stored: Mapping[str, Any], prefix: str) -> dict[str, Any]:
  result = {}
  for name, value in stored.items():
    if _replaced(prefix + name, REPLACED) != prefix + name:
      continue
    path = _replaced(prefix + name, FIELDS)
    if isinstance(value, Mapping):
      value = _current(value, f"{path}.")
      if name == "optimizer" and stored.keys() >= _OF_FINETUNING:
        value = {
          key: value[key] for key in value if f"optimizer.{key}" not in GONE
        }
    result[path.removeprefix(prefix)] = _value(path, value)
  return result


def _replaced(name: str, table: Mapping[str, str]) -> str:
  """Return `name` with its end replaced, if `table` has that end."""
  for then, now in table.items():
    if f".{name}".endswith(f".{then}"):
      return name.removesuffix(then) + now
  return name


def _value(name: str, value: Any) -> Any:
  for field, values in VALUES.items():
    if f".{name}".endswith(f".{field}") and isinstance(value, str):
      return values.get(value, value)
  return value
