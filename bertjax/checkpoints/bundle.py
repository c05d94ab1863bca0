# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The self-describing artefact that leaves a run.

A folder: `bundle.json` (under a sha256: model, digests, where it comes from),
`params/` (parameters alone, an Orbax tree) and `tokenizer/` (the files). It is
read on one CPU without knowing the mesh that it was trained on.
"""

import dataclasses
import hashlib
import json
import os
import pathlib
import shutil
from collections.abc import Mapping
from importlib import metadata
from typing import Any

from bertjax import config
from bertjax.checkpoints import checkpoint, digest
from bertjax.config import ComputeConfig, ModelConfig, renamed
from bertjax.model import BertForPreTraining
from bertjax.model.parameters import by_name
from bertjax.parallel import multihost

FORMAT_VERSION = 1
RECORD = "bundle.json"
TOKENIZER = "tokenizer"
PARAMS = "params"
# In `details` of a bundle that is fine-tuned.
TASK = "task"
_PACKAGES = ("bertjax", "jax", "flax", "optax", "orbax-checkpoint", "numpy")

Path = str | os.PathLike[str]


@dataclasses.dataclass(frozen=True)
class BundleInfo:
  """What a bundle says of itself.

  Attributes:
    path: the folder.
    model: shape of the encoder.
    tokenizer_path: folder of the tokenizer's files.
    leaves: {name: {"shape", "dtype", "digest"}} of the parameters.
    details: what the run wrote beside them: `config` that made it, `step`,
      `tokens` seen, `evaluation`, `corpus`, `store_sha256`,
      `tokenizer_sha256`, `pooler_trained`; and `versions` of the packages. Of
      several stores `corpus` and `store_sha256` are by name, and `mixture`
      holds their shares of the rows.
  """

  path: pathlib.Path
  model: ModelConfig
  tokenizer_path: pathlib.Path
  leaves: Mapping[str, Mapping[str, Any]]
  details: Mapping[str, Any]

  @property
  def pooler_trained(self) -> bool:
    """Whether a pair loss reached the pooler; else it is as initialized."""
    return bool(self.details["pooler_trained"])


def check_target(path: Path) -> None:
  """Refuse to write a bundle over something else.

  Raises:
    ValueError: `path` is a file, or a folder with other things in it.
  """
  folder = pathlib.Path(path)
  foreign = folder.exists() and not (folder / RECORD).is_file()
  if foreign and (not folder.is_dir() or any(folder.iterdir())):
    raise ValueError(
      f"{folder} holds something that is no bundle; give another folder"
    )


def write_bundle(
  path: Path,
  params: Any,
  model_config: ModelConfig,
  tokenizer_path: Path,
  info: Mapping[str, Any],
) -> BundleInfo:
  """Write a bundle, or replace the one at `path`; it is whole or not there.

  Of several processes all call it, and see the same folder.

  Args:
    path: the folder to make.
    params: of a `BertForPreTraining`, on any mesh.
    model_config: its shape.
    tokenizer_path: folder of the tokenizer's files, which are copied.
    info: JSON-able; becomes `BundleInfo.details`, which names its fields.

  Raises:
    ValueError: `path` holds something else.
  """
  folder = pathlib.Path(path)
  partial = folder.with_name(folder.name + ".partial")

  def begin() -> None:
    check_target(path)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)

  def finish() -> None:
    shutil.copytree(tokenizer_path, partial / TOKENIZER)
    record = {
      "format_version": FORMAT_VERSION,
      "model": config.to_mapping(model_config),
      "leaves": leaves,
      "tokenizer_files": _hashes(partial / TOKENIZER),
      "details": {
        **info,
        "versions": {name: metadata.version(name) for name in _PACKAGES},
      },
    }
    text = json.dumps(digest.seal(record), indent=2, sort_keys=True)
    (partial / RECORD).write_text(text + "\n")
    if folder.exists():
      shutil.rmtree(folder)
    partial.rename(folder)

  multihost.broadcast_from_first("bundle begun", begin)
  try:
    leaves = checkpoint.write_tree(partial / PARAMS, params)
    multihost.broadcast_from_first("bundle", finish)
  finally:
    # Also where the disk is full: nothing half-written stays.
    if multihost.is_first():
      shutil.rmtree(partial, ignore_errors=True)
  # By process 0, which wrote it: others may see what was renamed later.
  return _describe(
    folder,
    multihost.broadcast_from_first("bundle read", lambda: _read_record(folder)),
  )


def read_bundle_info(path: Path) -> BundleInfo:
  """Read what a bundle says of itself.

  Raises:
    ValueError: no bundle, one of another format, or a damaged one.
  """
  folder = pathlib.Path(path)
  return _describe(folder, _read_record(folder))


def _read_record(folder: pathlib.Path) -> dict[str, Any]:
  if not (folder / RECORD).is_file():
    raise ValueError(
      f"{folder} is no bundle: it has no {RECORD}; launch.pretrain writes one, "
      "and launch.export makes one of a workdir"
    )
  try:
    record = json.loads((folder / RECORD).read_text())
    version = record["format_version"]
    if version != FORMAT_VERSION:
      raise ValueError(
        f"its format is {version}, and this bertjax reads {FORMAT_VERSION}"
      )
    record = renamed.current(digest.unseal(record))
    for name, sha256 in record["tokenizer_files"].items():
      if _sha256(folder / TOKENIZER / name) != sha256:
        raise ValueError(f"{TOKENIZER}/{name} does not match its sha256")
  except (ValueError, KeyError, TypeError, OSError) as error:
    raise ValueError(f"bundle {folder} cannot be read: {error}") from error
  return record


def _describe(folder: pathlib.Path, record: Mapping[str, Any]) -> BundleInfo:
  return BundleInfo(
    path=folder,
    model=config.from_mapping(ModelConfig, record["model"]),
    tokenizer_path=folder / TOKENIZER,
    leaves=record["leaves"],
    details=record["details"],
  )


def read_pretrained(path: Path) -> BundleInfo:
  """Read what a pre-trained bundle says of itself.

  Raises:
    ValueError: no bundle, or a classifier.
  """
  info = read_bundle_info(path)
  if TASK in info.details:
    raise ValueError(
      f"{path} is a classifier of {info.details[TASK]['name']}; give the "
      "bundle of a pre-training run"
    )
  return info


def load_params(info: BundleInfo, like: Any = None) -> Any:
  """Read the parameters of a bundle, verified.

  Args:
    info: of the bundle.
    like: arrays or their shapes, with shardings: a parameter of the same
      name and shape is placed alike, so that none is ever whole on one
      device. The others, and with None all, go to the first device.

  Raises:
    ValueError: a parameter is not what was written.
  """
  shardings = {
    name: leaf.sharding
    for name, leaf in by_name(like).items()
    if name in info.leaves and list(leaf.shape) == info.leaves[name]["shape"]
  }
  return checkpoint.read_tree(info.path / PARAMS, info.leaves, shardings)


def load_bundle(
  path: Path, compute: ComputeConfig | None = None
) -> tuple[BertForPreTraining, Any]:
  """Return the model of a bundle and its parameters, on the first device.

  Use them as `model.apply({"params": params}, features, method="encode",
  deterministic=True)`.

  Args:
    path: folder of the bundle.
    compute: how to compute; None is float32.

  Raises:
    ValueError: no bundle, a damaged one, or a classifier's.
  """
  info = read_pretrained(path)
  model = BertForPreTraining(info.model, compute or ComputeConfig())
  return model, load_params(info)


def _hashes(folder: pathlib.Path) -> dict[str, str]:
  return {
    str(path.relative_to(folder)): _sha256(path)
    for path in sorted(folder.rglob("*"))
    if path.is_file()
  }


def _sha256(path: pathlib.Path) -> str:
  return hashlib.sha256(path.read_bytes()).hexdigest()
