# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The parameters that a run begins with: those of a bundle, or random ones.

A checkpoint replaces them, and its record says what they were. So a run that is
resumed needs no bundle any more; where the bundle can still be read, its digest
is compared with the record's.
"""

import dataclasses
import logging
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from bertjax.checkpoints import bundle, records
from bertjax.config import ModelConfig, PretrainConfig, from_mapping
from bertjax.trials.finding import FoundWrong, of_origin

CHECKPOINTS = "checkpoints"
logger = logging.getLogger(__name__)


class Past(NamedTuple):
  """What a workdir says of the run that was begun there; JSON-able.

  Attributes:
    record: newest record of its checkpoints; None if there is none.
    given_sha256: digest of the parameters of the bundle that this start names;
      None if it cannot be read, or need not be.
  """

  record: dict[str, Any] | None = None
  given_sha256: str | None = None


@dataclasses.dataclass(frozen=True)
class Origin:
  """What `init_from` names.

  Attributes:
    path: folder of the bundle; "" for random parameters.
    sha256: digest of its parameters; "" for random ones, None if not known.
    model: shape that the run has because of it; None for random parameters.
    info: the bundle to load; None for random parameters, and in a run that is
      resumed.
  """

  path: str = ""
  sha256: str | None = ""
  model: ModelConfig | None = None
  info: bundle.BundleInfo | None = None


def read_past(config: PretrainConfig, folder: pathlib.Path) -> Past:
  """Read what the workdir `folder` knows; it need not exist."""
  record = records.read_newest_record(folder / CHECKPOINTS)
  if record is None or not config.init_from:
    return Past(record)
  try:
    info = bundle.read_pretrained(config.init_from)
  except ValueError as error:
    logger.warning(
      "the run goes on from its checkpoint, and init_from is not compared: %s",
      error,
    )
    return Past(record)
  return Past(record, info.params_sha256)


def find_origin(config: PretrainConfig, past: Past) -> Origin:
  """Return what `config.init_from` names; read it only for a new run.

  Raises:
    ValueError: a new run, and no bundle can be read.
  """
  if not config.init_from:
    return Origin()
  if past.record is None:
    info = bundle.read_pretrained(config.init_from)
    return Origin(config.init_from, info.params_sha256, info.model, info)
  model = from_mapping(ModelConfig, past.record["config"]["model"])
  return Origin(config.init_from, past.given_sha256, model)


def describe_origin(origin: Origin) -> dict[str, Any]:
  """Return what a record says of the origin; {} for random parameters."""
  if not origin.path:
    return {}
  found = of_origin(origin.info and origin.info.details.findings)
  told = {"path": origin.path, "sha256": origin.sha256 or ""}
  return {**told, "findings": found} if found else told


def origin_in(record: Mapping[str, Any]) -> dict[str, Any]:
  """Return what `describe_origin` returned when the run began.

  Records of earlier versions know the path only.
  """
  path = record["config"].get("init_from", "")
  return dict(record.get("origin") or ({"path": path} if path else {}))


def all_findings(
  origin: Mapping[str, Any] | None, found: Iterable[FoundWrong]
) -> list[str] | None:
  """Return the findings of an origin and of the run, as bundles have them."""
  before = (origin or {}).get("findings", ())
  return [*before, *(each.sentence for each in found)] or None


def identity_in(record: Mapping[str, Any]) -> dict[str, Any]:
  """Return the identity in a record; it lacks an origin that is not known."""
  found = dict(record["identity"])
  if "init_from" not in found and not origin_in(record):
    found["init_from"] = ""
  return found
