# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The fields that a rerun must share with its checkpoint (law 10). No JAX."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from bertjax.config import (
  PretrainConfig,
  fields,
  flatten_fields,
  renamed,
  to_mapping,
)
from bertjax.config.model import drops

logger = logging.getLogger(__name__)

ROWS = "rows_version"
WORDS = "words_version"
VERSIONS = frozenset((ROWS, WORDS))
_WHOLE = ("model", "objective", "optimizer")
_SINGLE = ("steps", "batch_size", "seed")
# What says which elements are dropped.
_OF_DROPOUT = ("compute.dropout_rng", "compute.dropout_draws")
# And at which rate, newer than the families that have another one than BERT.
_OF_OUTPUTS = "model.attention_output_dropout"
# How the global batch is split changes no result (law 4), except for the
# dropout of rbg, whose bits are drawn for each micro-batch.
_OF_MICRO_BATCHES = ("optimizer.accumulation", "phase2.accumulation")
# Fields that one side may not know: a difference to the unknown is logged.
_MAY_BE_UNKNOWN = frozenset({"init_from"})
# A change that is allowed changes these as well: the planning of rows chooses
# the packs of a row, and other units have other masks wherever words begin.
_IMPLIED = {
  ROWS: ("data.max_packs", "phase2.max_packs"),
  "objective.mask_unit": (WORDS,),
}
# What the name of a field does not say to a user.
_ABOUT = {
  ROWS: (
    ", since this bertjax plans rows otherwise: the steps that are left would "
    "have other rows of the same text"
  ),
  WORDS: (
    ", since this bertjax begins words otherwise in text without spaces: the "
    "steps that are left would have other masks"
  ),
}
# Fields that may change and still change the numbers in `metrics.jsonl`.
_LOGGED = ("compute.dtype", "compute.gradient_dtype", "evaluation")


def identity(
  config: PretrainConfig,
  *,
  store_sha256: str,
  tokenizer_sha256: str,
  rows: Sequence[Mapping[str, int]] = (),
  init_from: str | None = "",
  rows_version: int = 1,
  words_version: int = 1,
) -> dict[str, Any]:
  """Return the named fields that a resumed run must share.

  Mesh, remat, kernels that drop the same, logging, retention and the paths of
  store and `init_from` may change; dtype of compute and evaluation as well,
  which `log_changes` logs.

  Args:
    config: config of the run.
    store_sha256: hash of the store, or of several stores together.
    tokenizer_sha256: hash of the store's tokenizer.
    rows: for each phase of a mixture, {hash of a store: its rows in a batch}.
    init_from: digest of the parameters that the run begins with; "" for random
      ones, None where it is not known.
    rows_version: version of the planning of rows.
    words_version: version of how the tokenizer tells where a word begins.
  """
  values = to_mapping(config)
  shared = {name: values[name] for name in _SINGLE}
  shared["data.seq_length"] = config.data.seq_length
  shared["data.max_packs"] = config.data.max_packs
  for group in (*_WHOLE, *(["phase2"] if config.phase2.steps else [])):
    shared |= {
      f"{group}.{name}": value for name, value in values[group].items()
    }
  for name in _OF_DROPOUT:
    shared[name] = values["compute"][name.removeprefix("compute.")]
  if config.compute.attention == "flash" and _drops_weights(config):
    # It has draws of its own; all others drop the same.
    shared["compute.attention"] = "flash"
  shared["store"] = store_sha256
  for phase, shares in zip(("data", "phase2"), rows, strict=False):
    shared[f"{phase}.stores"] = dict(shares)
  shared["tokenizer"] = tokenizer_sha256
  shared[ROWS] = rows_version
  if config.objective.mask_unit != "token":
    shared[WORDS] = words_version
  if init_from is not None:
    shared["init_from"] = init_from
  free = []
  if not drops(config):
    free = [*_OF_DROPOUT, _OF_OUTPUTS, *_OF_MICRO_BATCHES]
  elif config.compute.dropout_rng == "threefry":
    free = list(_OF_MICRO_BATCHES)
  for name in free:
    shared.pop(name, None)
  return shared


def _drops_weights(config: PretrainConfig) -> bool:
  return config.model.attention_dropout_rate > 0


def allowed_names(allow_changes: str) -> list[str]:
  """Return the names of fields in a comma-separated `allow_changes`."""
  return [name.strip() for name in allow_changes.split(",") if name.strip()]


def check_identity(
  old: Mapping[str, Any], new: Mapping[str, Any], *, allow_changes: str
) -> None:
  """Refuse to resume the checkpoint of another run.

  A field that one of the two lacks counts there as the value that runs had
  before the field existed. `init_from` is then not known, and is logged.

  Args:
    old: identity in the checkpoint, with the names of the version that wrote
      it.
    new: identity of this start.
    allow_changes: comma-separated names of fields that may differ; each
      difference that they allow is logged.

  Raises:
    ValueError: a field differs, with its old and its new value; or
      `allow_changes` has a name that is no field of the identity.
  """
  old = renamed.current(old)
  allowed = allowed_names(allow_changes)
  # Only one of the two may have the fields of a second phase or of dropout.
  known = sorted(old.keys() | new.keys())
  for name in allowed:
    renamed.refuse(name, prefix="allow_changes=")
    if name not in known:
      raise ValueError(
        f"allow_changes={name!r} is no field of the identity; give one of "
        f"{', '.join(known)}"
      )
  for name, implied in _IMPLIED.items():
    if name in allowed and _value(old, name) != _value(new, name):
      allowed += implied
  refused = []
  for name in known:
    before, after = _value(old, name), _value(new, name)
    if before == after:
      continue
    if name in _MAY_BE_UNKNOWN and (name in old) != (name in new):
      side = "checkpoint" if name in new else "start"
      logger.warning(
        "%s is %r, and this %s does not know its own: they are not compared",
        name,
        after if name in new else before,
        side,
      )
    elif name in allowed:
      logger.warning("%s changes from %r to %r", name, before, after)
    else:
      refused.append((name, before, after))
  if refused:
    changes = "; ".join(
      f"{name}: {before!r} → {after!r}{_ABOUT.get(name, '')}"
      for name, before, after in refused
    )
    names = ",".join(name for name, _, _ in refused)
    raise ValueError(
      f"the checkpoint here is of another run ({changes}); give another "
      f"--workdir, or accept with --config.allow_changes={names}"
    )


def log_changes(old: Mapping[str, Any], config: PretrainConfig) -> None:
  """Log changes that are allowed, but that change the numbers of a run.

  Args:
    old: the config in the checkpoint, as a mapping.
    config: config of this start.
  """
  before, after = flatten_fields(old), flatten_fields(to_mapping(config))
  for name, value in after.items():
    was = before.get(name, _before(name))
    watched = any(f"{name}.".startswith(f"{each}.") for each in _LOGGED)
    if watched and was != value and name != "evaluation.every_steps":
      logger.warning(
        "%s changes from %r to %r: metrics.jsonl before and after this step "
        "cannot be compared to the digit",
        name,
        was,
        value,
      )


def _value(identity_: Mapping[str, Any], name: str) -> Any:
  value = identity_.get(name, _before(name))
  # 0 is the base of the other layers, which may be said in numbers as well.
  if (
    name == "model.rotary_local_base"
    and not value
    and _value(identity_, "model.attention_pattern") == "window"
  ):
    return _value(identity_, "model.rotary_base")
  return value


def _before(name: str) -> Any:
  """Return the value that runs had before the field existed, or None."""
  # The rows of several stores have the name of `data.stores`, whose value is
  # their paths.
  if name == "data.stores":
    return None
  if name in VERSIONS:
    return 1
  return fields.before_path(PretrainConfig, name)
