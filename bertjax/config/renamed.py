# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Fields and values of configs that earlier versions knew by other names.

What an earlier version stored keeps its words on disk: apply `current` to
every config, identity and ledger that is read. What a user types must be
today's: `refuse` says in one line what to give instead.
"""

from collections.abc import Mapping
from typing import Any

# The name of a field then → now. A name matches at the end of a longer one:
# the config of a study has `pretrain.objective.…`.
FIELDS = {"objective.random_pieces": "objective.random_tokens"}
# Field, as it is called now → its value then → now.
VALUES = {"objective.mask_unit": {"piece": "token"}}
# Fields that the config of fine-tuning had and never read → those that it has.
GONE = {
  "optimizer.learning_rate": "learning_rates",
  "optimizer.warmup_steps": "warmup_rate",
}
# Fields by which the config of fine-tuning is told from that of pre-training.
_OF_FINETUNING = frozenset({"warmup_rate", "pooling", "optimizer"})


def current(stored: Mapping[str, Any]) -> dict[str, Any]:
  """Return a stored mapping with today's names of fields and values.

  Fields that were never read, and are gone, are left out.

  Args:
    stored: a nested config, or a flat record with dotted names; other entries
      stay as they are.
  """
  return _current(stored, "")


def instead(name: str) -> str:
  """Return the field to give instead of one that fine-tuning lost, or ""."""
  other = _replaced(name, GONE)
  return other if other != name else ""


def refuse(name: str, value: Any = None, prefix: str = "") -> None:
  """Raise a `ValueError` where a field or its value has another name now.

  Args:
    name: of the field, dotted.
    value: that is given, if it is known.
    prefix: what stands before the field's name in the message.
  """
  now = _replaced(name, FIELDS)
  if now != name:
    raise ValueError(f"{prefix}{name} is now {prefix}{now}; give that")
  became = _value(name, value)
  if became is not value:  # nan equals nothing
    raise ValueError(
      f"{prefix}{name}={value} is now {prefix}{name}={became}; give that"
    )


def _current(stored: Mapping[str, Any], prefix: str) -> dict[str, Any]:
  result = {}
  for name, value in stored.items():
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
  """Return `name` with an end that is in `table` replaced."""
  for then, now in table.items():
    if f".{name}".endswith(f".{then}"):
      return name.removesuffix(then) + now
  return name


def _value(name: str, value: Any) -> Any:
  for field, values in VALUES.items():
    if f".{name}".endswith(f".{field}") and isinstance(value, str):
      return values.get(value, value)
  return value
