# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Make a config file: a dataclass, then overlays from its argument.

`--config=pretrain:size=tiny,objective=mlm_nsp` calls
`get_config("size=tiny,objective=mlm_nsp")`.
"""

from collections.abc import Callable, Mapping
from typing import Any

import ml_collections

from bertjax.config import flatten_fields, renamed, to_mapping

# Changes a config in place.
Overlay = Callable[[ml_collections.ConfigDict], None]
# {"size": {"tiny": overlay, …}, …}, applied in this order.
Overlays = Mapping[str, Mapping[str, Overlay]]


def from_dataclass(config: Any) -> ml_collections.ConfigDict:
  """Return a locked ConfigDict with the fields and defaults of `config`."""
  made = ml_collections.ConfigDict(to_mapping(config))
  made.lock()
  return made


def apply_overlays(
  config: ml_collections.ConfigDict, argument: str, overlays: Overlays
) -> ml_collections.ConfigDict:
  """Change `config` as `argument` ("name=value,name=value") asks.

  Raises:
    ValueError: a name or a value that does not exist, with those that do; an
      overlay whose field another one sets to another value.
  """
  chosen = _parse(argument, overlays)
  applied = {
    f"{name}={chosen[name]}": values[chosen[name]]
    for name, values in overlays.items()
    if name in chosen
  }
  for overlay in applied.values():
    overlay(config)
  for name, overlay in applied.items():
    _check_effect(name, overlay, config, argument)
  return config


def _check_effect(
  name: str, overlay: Overlay, config: ml_collections.ConfigDict, argument: str
) -> None:
  """Raise ValueError if a later overlay has undone a field of this one."""
  asked = config.copy_and_resolve_references()
  overlay(asked)
  now, then = (flatten_fields(each.to_dict()) for each in (config, asked))
  for field, value in then.items():
    if now[field] != value:
      raise ValueError(
        f"config overlay {name!r} sets {field}={value}, and another of "
        f"{argument!r} sets it to {now[field]}; leave one out"
      )


def fields(changes: Mapping[str, Any]) -> Overlay:
  """Return an overlay that sets fields, as {"model.num_layers": 2}."""
  for name, value in changes.items():
    renamed.refuse(name, value)
  return lambda config: config.update_from_flattened_dict(dict(changes))


def _parse(argument: str, overlays: Overlays) -> dict[str, str]:
  chosen: dict[str, str] = {}
  for part in filter(None, argument.split(",")):
    name, _, value = part.partition("=")
    if name not in overlays:
      raise ValueError(
        f"config overlay {part!r} is not known; give "
        f"{', '.join(f'{known}=…' for known in overlays)}"
      )
    if value not in overlays[name]:
      raise ValueError(
        f"config overlay {part!r} is not known; {name}= takes one of "
        f"{', '.join(overlays[name])}"
      )
    if name in chosen:
      raise ValueError(f"config overlay {name}= is given twice: {argument!r}")
    chosen[name] = value
  return chosen
