# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The self-describing artifact that a run hands over.

A folder: `bundle.json` (the model's shape, digests, and where the weights come
from, under a sha256), `params/` (parameters alone, an Orbax tree) and
`tokenizer/` (its files). It is read on one CPU without knowing the mesh that
it was trained on.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any, Self

import bertjax
from bertjax import config, files
from bertjax.checkpoints import checkpoint, digest
from bertjax.checkpoints.bundle_checks import (
  check_finite,
  check_same_files,
  check_shapes,
)
from bertjax.config import ComputeConfig, ModelConfig, renamed
from bertjax.model import BertForPreTraining
from bertjax.model.parameters import PAIR_BIAS, by_name
from bertjax.parallel import multihost

FORMAT_VERSION = 1
RECORD = "bundle.json"
TOKENIZER = "tokenizer"
PARAMS = "params"
_PACKAGES = ("bertjax", "jax", "flax", "optax", "orbax-checkpoint", "numpy")

Path = str | os.PathLike[str]
Json = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Details:
  """Where the weights of a bundle come from; all fields are JSON-able.

  None and "" mean that a field is not known, or does not apply.

  Attributes:
    pooler_trained: whether a loss has reached the pooler; otherwise it has its
      initial values.
    step: number of steps of the run.
    tokens: number of tokens that pre-training has read.
    evaluation: scores at the last step, by name; of several splits, by split.
    config: the config of the run.
    tokenizer_sha256: hash of the tokenizer.
    corpus: source of the store; of several stores, by store.
    store_sha256: hash of the store; of several stores, by store.
    tokens_per_word: tokens a word of the training splits of all stores.
    mixture: share of the rows by store, if there are several.
    source: the folder that weights were imported from.
    task: the head of a fine-tuned model, and what it was trained for.
    init: where fine-tuning started, "bundle" or "scratch".
    trial: settings of the fine-tuning trial that was kept.
    findings: sentences on what is wrong, here and in the training before.
    origin: folder of the bundle that pre-training began with, the digest of
      its parameters, and its findings.
    versions: versions of the packages that wrote the bundle.
    written_by: the command that wrote the bundle, which may replace it.
  """

  pooler_trained: bool
  step: int | None = None
  tokens: int | None = None
  evaluation: Json = dataclasses.field(default_factory=dict)
  config: Json | None = None
  tokenizer_sha256: str = ""
  corpus: Json | None = None
  store_sha256: str | Json | None = None
  tokens_per_word: float | None = None
  mixture: Mapping[str, float] | None = None
  source: Json | None = None
  task: Json | None = None
  init: str | None = None
  trial: Json | None = None
  findings: Sequence[str] | None = None
  origin: Json | None = None
  versions: Mapping[str, str] | None = None
  written_by: str = ""

  @classmethod
  def from_json(cls, stored: Json) -> Self:
    """Read the result of `to_json`, of this version or an earlier one.

    Raises:
      ValueError: an unknown field, or `pooler_trained` is missing.
    """
    unknown = stored.keys() - {each.name for each in dataclasses.fields(cls)}
    if unknown:
      raise ValueError(f"its details have unknown fields {sorted(unknown)}")
    if not isinstance(stored.get("pooler_trained"), bool):
      raise ValueError("its details do not say whether the pooler is trained")
    return cls(**stored)

  def to_json(self) -> dict[str, Any]:
    """Return the fields that are known."""
    fields = vars(self).items()
    return {name: value for name, value in fields if value not in (None, "")}


@dataclasses.dataclass(frozen=True)
class BundleInfo:
  """The content of `bundle.json`.

  Attributes:
    path: folder of the bundle.
    model: shape of the encoder.
    tokenizer_path: folder of the tokenizer's files.
    leaves: {name: {"shape", "dtype", "digest"}} of the parameters.
    details: where the weights come from.
    tokenizer_files: sha256 of each of the tokenizer's files.
  """

  path: pathlib.Path
  model: ModelConfig
  tokenizer_path: pathlib.Path
  leaves: Mapping[str, Json]
  details: Details
  tokenizer_files: Mapping[str, str]

  @property
  def params_sha256(self) -> str:
    """One digest of all parameters, which does not depend on the folder."""
    return digest.sha256_of_json(self.leaves)


def check_target(path: Path) -> None:
  """Refuse to write a bundle over anything but a bundle or an empty folder.

  Raises:
    ValueError: `path` is a file, or a folder with other things in it.
  """
  folder = pathlib.Path(path)
  foreign = folder.exists() and not (folder / RECORD).is_file()
  if foreign and (not folder.is_dir() or any(folder.iterdir())):
    raise ValueError(f"{folder} exists and is no bundle; give another folder")


def write_bundle(
  path: Path,
  params: Any,
  model_config: ModelConfig,
  tokenizer_path: Path,
  details: Details,
  tokenizer_files: Mapping[str, str] | None = None,
) -> BundleInfo:
  """Write a bundle, or replace the one at `path`, atomically.

  All processes call this together, with the same folder.

  Args:
    path: the folder to make.
    params: parameters of a model of `bertjax.model`, on any mesh.
    model_config: shape of the encoder.
    tokenizer_path: folder of the tokenizer's files, which are copied.
    details: where the parameters come from; `versions` is filled in.
    tokenizer_files: sha256 of each of the tokenizer's files, as
      `files.sha256_of_folder` returned it when they were known to be right;
      None trusts them.

  Raises:
    ValueError: `path` exists and is not a bundle, or a file of the tokenizer
      is another one now.
  """
  folder = pathlib.Path(path)
  # Only process 0 enters a folder here; an exception deletes the new folder.
  with contextlib.ExitStack() as replacing:

    def begin() -> str:
      check_target(path)
      return str(replacing.enter_context(files.replace_folder(folder)))

    def finish() -> None:
      shutil.copytree(tokenizer_path, partial / TOKENIZER)
      hashes = files.sha256_of_folder(partial / TOKENIZER)
      check_same_files(pathlib.Path(tokenizer_path), hashes, tokenizer_files)
      versions = {name: _version(name) for name in _PACKAGES}
      record = {
        "format_version": FORMAT_VERSION,
        "model": config.to_mapping(model_config),
        "leaves": leaves,
        "tokenizer_files": hashes,
        "details": dataclasses.replace(details, versions=versions).to_json(),
      }
      files.write_json(partial / RECORD, digest.seal(record), sort_keys=True)
      replacing.close()

    partial = pathlib.Path(
      multihost.broadcast_from_first("bundle begun", begin)
    )
    leaves = checkpoint.write_tree(partial / PARAMS, params)
    multihost.broadcast_from_first("bundle", finish)
  # Process 0 reads it for all: on a shared file system the others may see the
  # folder under its new name only later.
  return _describe(
    folder,
    multihost.broadcast_from_first("bundle read", lambda: _read_record(folder)),
  )


def _version(package: str) -> str:
  try:
    return metadata.version(package)
  except metadata.PackageNotFoundError:  # a source tree on the path
    return bertjax.__version__ if package == "bertjax" else "absent"


def read_bundle_info(path: Path) -> BundleInfo:
  """Read `bundle.json` and check the tokenizer's files.

  Raises:
    ValueError: no bundle, one of another format, or a damaged one.
  """
  folder = pathlib.Path(path)
  return _describe(folder, _read_record(folder))


def _read_record(folder: pathlib.Path) -> dict[str, Any]:
  if not (folder / RECORD).is_file():
    aside = files.aside(folder)
    if (aside / RECORD).is_file():
      raise ValueError(
        f"{folder} is not there, because its replacement was interrupted; "
        f"rename {aside} to {folder}"
      )
    fix = (
      "give WORKDIR/bundle of launch.pretrain or WORKDIR/model of "
      "launch.finetune, or make one from a workdir with launch.export"
    )
    for inside in (folder / "bundle", folder / "model"):  # of a workdir
      if (inside / RECORD).is_file():
        fix = f"give {inside}"
    why = f"it has no {RECORD}" if folder.exists() else "it does not exist"
    raise ValueError(f"{folder} is not a bundle: {why}; {fix}")
  try:
    record = json.loads((folder / RECORD).read_bytes())
    version = record["format_version"]
    if version != FORMAT_VERSION:
      raise ValueError(
        f"its format is {version}, and this bertjax reads {FORMAT_VERSION}; "
        "install the bertjax that wrote it"
      )
    record = renamed.current(digest.unseal(record))
    for name, sha256 in record["tokenizer_files"].items():
      if files.sha256_of(folder / TOKENIZER / name) != sha256:
        raise ValueError(
          f"{TOKENIZER}/{name} does not match its sha256; copy the bundle again"
        )
  except (ValueError, KeyError, TypeError, OSError) as error:
    raise ValueError(f"bundle {folder} cannot be read: {error}") from error
  return record


def _describe(folder: pathlib.Path, record: Mapping[str, Any]) -> BundleInfo:
  try:
    model = config.from_mapping(ModelConfig, record["model"])
    details = Details.from_json(record["details"])
    check_shapes(model, record["leaves"], pretrained=details.task is None)
    return BundleInfo(
      path=folder,
      model=model,
      tokenizer_path=folder / TOKENIZER,
      leaves=record["leaves"],
      details=details,
      tokenizer_files=record["tokenizer_files"],
    )
  except (ValueError, KeyError) as error:
    raise ValueError(f"bundle {folder} cannot be read: {error}") from error


def read_pretrained(path: Path) -> BundleInfo:
  """Read `bundle.json` of a pre-trained model.

  Raises:
    ValueError: no bundle, or the bundle of a fine-tuned model.
  """
  info = read_bundle_info(path)
  if info.details.task is not None:
    raise ValueError(
      f"{path} is fine-tuned for {info.details.task['name']}; give the bundle "
      "of a pre-training run"
    )
  return info


def load_params(info: BundleInfo, like: Any = None) -> Any:
  """Read the parameters of a bundle and verify their digests.

  Args:
    info: the result of `read_bundle_info`.
    like: arrays or their shapes, with shardings. A parameter of the same name
      and shape is read into the same sharding and is never whole on one device.
      All others go to the first device.

  Raises:
    ValueError: a parameter does not match its digest, or has a value that is
      nan or infinite.
  """
  shardings = {
    name: leaf.sharding
    for name, leaf in by_name(like).items()
    if name in info.leaves and list(leaf.shape) == info.leaves[name]["shape"]
  }
  params = checkpoint.read_tree(info.path / PARAMS, info.leaves, shardings)
  check_finite(info.path, params)
  return params


def load_bundle(
  path: Path, compute: ComputeConfig | None = None
) -> tuple[BertForPreTraining, Any]:
  """Return the model of a bundle and its parameters, on the first device.

  Use them as `model.apply({"params": params}, features, method="encode",
  deterministic=True)`.

  Args:
    path: folder of the bundle.
    compute: how to compute; None is `ComputeConfig()`, float32.

  Raises:
    ValueError: no bundle, a damaged one, or the bundle of a fine-tuned model.
  """
  info = read_pretrained(path)
  sizes = {}
  if PAIR_BIAS in info.leaves:  # a model without a pooler has no such head
    (sizes["num_pair_classes"],) = info.leaves[PAIR_BIAS]["shape"]
  model = BertForPreTraining(info.model, compute or ComputeConfig(), **sizes)
  return model, load_params(info)
