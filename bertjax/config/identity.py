# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What makes a run this run and no other (law 10). No JAX here."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from bertjax.config import PretrainConfig, renamed, to_mapping

logger = logging.getLogger(__name__)

_WHOLE = ("model", "objective", "optimizer")
_SINGLE = ("steps", "batch_size", "seed")
# How the large batch is cut changes no result (law 4), but for what rbg drops:
# its bits are drawn for each micro-batch.
_OF_MICRO_BATCHES = ("optimizer.accumulation", "phase2.accumulation")


def identity(
  config: PretrainConfig,
  *,
  store_sha256: str,
  tokenizer_sha256: str,
  rows: Sequence[Mapping[str, int]] = (),
) -> dict[str, Any]:
  """Return the named fields that a resumed run must share.

  Mesh, remat, kernels, dtype of compute, logging, evaluation and retention
  are not among them, nor is where the store lies.

  Args:
    config: of the run.
    store_sha256: of the store, or of several together.
    tokenizer_sha256: of its tokenizer.
    rows: of a mixture in each phase: a store's hash → its rows in a batch.
  """
  values = to_mapping(config)
  fields = {name: values[name] for name in _SINGLE}
  fields["data.seq_length"] = config.data.seq_length
  fields["data.max_packs"] = config.data.max_packs
  for group in _WHOLE:
    fields |= {
      f"{group}.{name}": value for name, value in values[group].items()
    }
  if config.phase2.steps:
    fields |= {
      f"phase2.{name}": value for name, value in values["phase2"].items()
    }
  fields["compute.dropout_rng"] = config.compute.dropout_rng
  fields["store"] = store_sha256
  for phase, shares in zip(("data", "phase2"), rows, strict=False):
    fields[f"{phase}.stores"] = dict(shares)
  fields["tokenizer"] = tokenizer_sha256
  model, free = config.model, []
  drops = model.hidden_dropout_rate or model.attention_dropout_rate
  if not drops:
    free = ["compute.dropout_rng", *_OF_MICRO_BATCHES]
  elif config.compute.dropout_rng == "threefry":
    free = list(_OF_MICRO_BATCHES)
  for name in free:
    fields.pop(name, None)
  return fields


def check_identity(
  old: Mapping[str, Any], new: Mapping[str, Any], *, allow_changes: str
) -> None:
  """Refuse to go on as another run.

  Args:
    old: of the checkpoint, by the names of whichever version wrote it.
    new: of this start.
    allow_changes: comma-separated names of fields that may differ; each
      difference that they allow is logged.

  Raises:
    ValueError: a field differs, naming it, its old and its new value; or
      `allow_changes` names what is no field.
  """
  old = renamed.current(old)
  allowed = [name.strip() for name in allow_changes.split(",") if name.strip()]
  # Fields come and go: those of a second phase, those of dropout.
  known = sorted(old.keys() | new.keys())
  for name in allowed:
    renamed.refuse(name, prefix="allow_changes=")
    if name not in known:
      raise ValueError(
        f"allow_changes={name!r} is no field of the identity; it has "
        f"{', '.join(known)}"
      )
  refused = []
  for name in known:
    before, after = old.get(name), new.get(name)
    if before == after:
      continue
    if name in allowed:
      logger.warning("%s changes from %r to %r", name, before, after)
    else:
      refused.append((name, before, after))
  if refused:
    changes = "; ".join(
      f"{name}: {before!r} → {after!r}" for name, before, after in refused
    )
    names = ",".join(name for name, _, _ in refused)
    raise ValueError(
      f"the checkpoint here is of another run ({changes}); give another "
      f"--workdir, or accept with --config.allow_changes={names}"
    )
