# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What is exported: a bundle, or a committed step of a workdir."""

import dataclasses
import os
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from bertjax.checkpoints import bundle as bundles
from bertjax.checkpoints.bundle_checks import check_tokenizer_files
from bertjax.checkpoints.checkpoint import Checkpoints
from bertjax.config import CheckpointConfig, ModelConfig, from_mapping, renamed
from bertjax.finetune.task import Head
from data_pipelines.tokenizers import tokenizers
from launch.run.findings import read_findings
from launch.run.origin import CHECKPOINTS, all_findings
from launch.run.restoring import TOKENIZER

# Fields of a checkpoint's record that are not details of a bundle.
_RUN_ONLY = ("identity", "pipeline", "hooks", "tokenizer_files")

Path = str | os.PathLike[str]


class Trained(NamedTuple):
  """Parameters on one device, their model, and where they come from."""

  params: Any
  model: ModelConfig
  tokenizer_path: pathlib.Path
  details: bundles.Details
  tokenizer_files: Mapping[str, str] | None = None

  @property
  def head(self) -> Head | None:
    """The head of a fine-tuned model; None for a pre-trained one."""
    task = self.details.task
    return None if task is None else Head(**task)


def read_bundle(path: Path) -> Trained:
  """Read the bundle `path`.

  Raises:
    ValueError: `path` is not a bundle, or is damaged.
  """
  info = bundles.read_bundle_info(path)
  return Trained(
    bundles.load_params(info),
    info.model,
    info.tokenizer_path,
    info.details,
    info.tokenizer_files,
  )


def read_workdir(workdir: pathlib.Path, step: int | None) -> Trained:
  """Read a committed step of a run; None takes the newest.

  Raises:
    ValueError: `workdir` is not a workdir, has no such step, its tokenizer is
      not that of the run, or its findings cannot be read.
  """
  folder = workdir / CHECKPOINTS
  if not folder.is_dir():
    raise ValueError(f"{workdir} is not a workdir: it has no {CHECKPOINTS}/")
  checkpoints = Checkpoints(folder, CheckpointConfig(), read_only=True)
  try:
    _, params, record = checkpoints.read_params(step)
  finally:
    checkpoints.close()
  details = bundles.Details.from_json(
    renamed.current(
      {name: value for name, value in record.items() if name not in _RUN_ONLY}
    )
  )
  found = read_findings(workdir)
  if found is not None and found.step == details.step:
    # They are known only when the last checkpoint is saved.
    sentences = all_findings(details.origin, found.findings)
    details = dataclasses.replace(details, findings=sentences)
  model = from_mapping(ModelConfig, record["config"]["model"])
  _check_tokenizer(workdir / TOKENIZER, record)
  known = record.get("tokenizer_files")
  return Trained(params, model, workdir / TOKENIZER, details, known)


def _check_tokenizer(folder: pathlib.Path, record: Mapping[str, Any]) -> None:
  """Check the tokenizer of a workdir against the record of a checkpoint."""
  if "tokenizer_files" in record:
    check_tokenizer_files(folder, record["tokenizer_files"])
    return
  # Earlier versions stored the hash of the tokenizer alone.
  known, found = record["tokenizer_sha256"], tokenizers.load(folder).sha256
  if found != known:
    raise ValueError(
      f"{folder} is tokenizer {found[:12]}, and the run was trained with "
      f"{known[:12]}; copy the tokenizer of the store there (launch.pretrain "
      "does so when it is started again)"
    )
