# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Where a run starts: its own checkpoint, then `init_from`, then scratch."""

import contextlib
import dataclasses
import pathlib
import shutil
import types
from collections.abc import Mapping
from typing import Any, NamedTuple

from bertjax import files
from bertjax.checkpoints import bundle, records, resize, transfer
from bertjax.checkpoints.checkpoint import Checkpoints
from bertjax.config import identity
from bertjax.model.parameters import POOLER
from bertjax.objectives import pretraining
from bertjax.parallel import multihost
from bertjax.train.state import TrainState
from data_pipelines.tokenizers import tokenizers
from data_pipelines.tokenizers.vocabulary_extension import find_parts
from launch.run import ahead
from launch.run.assembly import RunSpec
from launch.run.origin import (
  CHECKPOINTS,
  describe_origin,
  identity_in,
  origin_in,
)

CONFIG = "config.json"
TOKENIZER = "tokenizer"


class Start(NamedTuple):
  """Where a run starts.

  Attributes:
    state: input of the first step.
    record: record that was saved with the state; {} for a new run.
    pooler_trained: whether a pair loss has reached the pooler.
    origin: path, digest and findings of the bundle that the run began with, or
      {}.
    identity: what a later start must share.
    tokenizer_files: sha256 of each file of the tokenizer in the workdir.
  """

  state: TrainState
  record: Mapping[str, Any]
  pooler_trained: bool
  origin: Mapping[str, Any]
  identity: Mapping[str, Any]
  tokenizer_files: Mapping[str, str] = types.MappingProxyType({})


def check_record(spec: RunSpec, folder: pathlib.Path) -> None:
  """Check that the newest checkpoint in `folder` is of this run.

  Raises:
    ValueError: it is of another run, or past the last step.
  """
  before = multihost.broadcast_from_first(
    "record", lambda: records.read_newest_record(folder / CHECKPOINTS)
  )
  if before is None:
    return
  identity.check_identity(
    identity_in(before), spec.identity, allow_changes=spec.config.allow_changes
  )
  identity.log_changes(before["config"], spec.config)
  if before["step"] > spec.config.steps:
    raise ValueError(
      f"{folder} is at step {before['step']}, past steps={spec.config.steps}; "
      f"give --config.steps={before['step']} or more, or another --workdir"
    )


def restore(
  spec: RunSpec, folder: pathlib.Path, checkpoints: Checkpoints
) -> Start:
  """Return where a run starts; write config and tokenizer to its workdir.

  They are written last, so that a start that fails changes neither.

  Raises:
    ValueError: no checkpoint in `folder` is whole, or no bundle can be read
      from `init_from`.
  """
  with ahead.compiling(spec, checkpoints.steps()):
    restored = checkpoints.restore(spec.program.abstract_state())
  if restored is None:
    start = Start(
      _make_state(spec),
      {},
      _is_pooler_trained(spec, {}),
      describe_origin(spec.origin),
      spec.identity,
    )
  else:
    state, record = restored
    start = Start(
      state,
      record,
      _is_pooler_trained(spec, record),
      origin_in(record),
      _continued(spec.identity, identity_in(record)),
    )
  files_of = multihost.broadcast_from_first(
    "workdir", lambda: _write(spec, folder)
  )
  return start._replace(tokenizer_files=files_of)


def keep_tokenizer(
  source: pathlib.Path, target: pathlib.Path, sha256: str
) -> None:
  """Copy the tokenizer at `source` to `target`, unless it is there already.

  Args:
    source: folder of the store's tokenizer.
    target: folder in the workdir.
    sha256: hash of the tokenizer.
  """
  same = files.sha256_of_folder(target) == files.sha256_of_folder(source)
  with contextlib.suppress(ValueError, OSError):
    if same and tokenizers.load(target).sha256 == sha256:
      return
  with files.replace_folder(target) as partial:
    shutil.copytree(source, partial, dirs_exist_ok=True)


def _write(spec: RunSpec, folder: pathlib.Path) -> dict[str, str]:
  files.write_json(folder / CONFIG, spec.resolved.to_json())
  keep_tokenizer(
    spec.store.tokenizer_path, folder / TOKENIZER, spec.identity["tokenizer"]
  )
  return files.sha256_of_folder(folder / TOKENIZER)


def _continued(
  new: Mapping[str, Any], old: Mapping[str, Any]
) -> dict[str, Any]:
  """Return the identity of a resumed run: its origin is the old one."""
  rest = {name: new[name] for name in new if name != "init_from"}
  return rest | {name: old[name] for name in old if name == "init_from"}


def _make_state(spec: RunSpec) -> TrainState:
  """Return the state of step 0, with the parameters of `init_from` if given."""
  state = spec.program.make_state()
  if not spec.origin.path:
    return state
  # A checkpoint was there when the run was assembled, and is gone.
  origin = spec.origin.info or bundle.read_pretrained(spec.origin.path)
  before = resize.shapes_before(state.params, origin.model.vocab_size)
  params = resize.resize_embeddings(
    bundle.load_params(origin, like=before),
    state.params,
    find_parts(spec.store.tokenizer_path, origin.details.tokenizer_sha256),
  )
  return dataclasses.replace(state, params=transfer.graft(state.params, params))


def _is_pooler_trained(spec: RunSpec, record: Mapping[str, Any]) -> bool:
  if not spec.config.model.pooler:
    return False
  if POOLER not in pretraining.inactive_parts(spec.config.objective):
    return True
  if record:
    return record["pooler_trained"]
  origin = spec.origin.info
  return origin is not None and origin.details.pooler_trained
