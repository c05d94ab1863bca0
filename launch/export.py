# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Hand a trained model on.

  python -m launch.export --bundle=DIR --format=huggingface --output=DIR
  python -m launch.export --workdir=DIR --step=N --format=bundle --output=DIR

A workdir gives any step that is committed, also after a run was killed. The
Hugging Face folder loads with `AutoModel` and `AutoTokenizer`; its folder
`pretraining` has the heads too, for `AutoModelForMaskedLM`.
"""

import os
import pathlib
import shutil
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from absl import flags

from bertjax import bundle as bundles
from bertjax.checkpoint import Checkpoints
from bertjax.config import CheckpointConfig, ModelConfig, from_mapping
from bertjax.interop import huggingface_files
from data_pipelines import tokenizers
from launch import cli
from launch.resumable import CHECKPOINTS, TOKENIZER

FORMATS = ("huggingface", "bundle")
# What a checkpoint's record has beyond what a bundle says of itself.
_RUN_ONLY = ("identity", "pipeline", "hooks")

Path = str | os.PathLike[str]


class Trained(NamedTuple):
  """Parameters on one device, and what is known of them."""

  params: Any
  model: ModelConfig
  tokenizer_path: pathlib.Path
  details: Mapping[str, Any]


def run(
  *,
  output: Path,
  format: str = "huggingface",
  bundle: Path | None = None,
  workdir: Path | None = None,
  step: int | None = None,
) -> pathlib.Path:
  """Write `output` from a bundle, or from a committed step of a workdir.

  Args:
    output: folder to make; one of the same format is replaced.
    format: "huggingface" or "bundle".
    bundle: folder of a bundle; this or `workdir` is given.
    workdir: of a run, also one that was killed.
    step: of the workdir; None takes the newest.

  Returns:
    `output`.

  Raises:
    ValueError: nothing there to export, or `output` is something else.
  """
  if format not in FORMATS:
    raise ValueError(f"--format={format}; give one of {', '.join(FORMATS)}")
  if (bundle is None) == (workdir is None):
    raise ValueError("give either --bundle=DIR or --workdir=DIR")
  if step is not None and workdir is None:
    raise ValueError(f"--step={step} is of a --workdir; a bundle has one step")
  target = pathlib.Path(output)
  check = (
    _check_huggingface if format == "huggingface" else bundles.check_target
  )
  check(target)
  if bundle is not None:
    trained = _of_bundle(bundle)
  else:
    trained = _of_workdir(pathlib.Path(workdir or ""), step)
  if format == "bundle":
    bundles.write_bundle(
      target,
      trained.params,
      trained.model,
      trained.tokenizer_path,
      trained.details,
    )
  else:
    _write_huggingface(trained, target)
  return target


def _of_bundle(path: Path) -> Trained:
  info = bundles.read_pretrained(path)
  return Trained(
    bundles.load_params(info), info.model, info.tokenizer_path, info.details
  )


def _of_workdir(workdir: pathlib.Path, step: int | None) -> Trained:
  folder = workdir / CHECKPOINTS
  if not folder.is_dir():
    raise ValueError(f"{workdir} is no workdir: it has no {CHECKPOINTS}/")
  checkpoints = Checkpoints(folder, CheckpointConfig(), read_only=True)
  try:
    _, params, record = checkpoints.read_params(step)
  finally:
    checkpoints.close()
  details = {
    name: value for name, value in record.items() if name not in _RUN_ONLY
  }
  model = from_mapping(ModelConfig, record["config"]["model"])
  return Trained(params, model, workdir / TOKENIZER, details)


def _check_huggingface(target: pathlib.Path) -> None:
  if target.exists() and not (target / "model.safetensors").is_file():
    if target.is_dir() and not any(target.iterdir()):
      return
    raise ValueError(
      f"{target} holds something that is no export; give another folder"
    )


def _write_huggingface(trained: Trained, target: pathlib.Path) -> None:
  partial = target.with_name(target.name + ".partial")
  shutil.rmtree(partial, ignore_errors=True)
  partial.mkdir(parents=True)
  try:
    pad_id = tokenizers.load(trained.tokenizer_path).pad_id
    folders = huggingface_files.export_pretraining(
      trained.params, trained.model, partial, pad_id=pad_id
    )
    for folder in folders:
      shutil.copytree(trained.tokenizer_path, folder, dirs_exist_ok=True)
    if target.exists():
      shutil.rmtree(target)
    partial.rename(target)
  finally:
    shutil.rmtree(partial, ignore_errors=True)


def define_flags() -> None:
  """Define the flags; not at import, since `run` has other callers."""
  flags.DEFINE_string("bundle", None, "Folder of the bundle to export.")
  flags.DEFINE_string("workdir", None, "Or: workdir of a run.")
  flags.DEFINE_integer("step", None, "Step of the workdir; its newest if none.")
  flags.DEFINE_string("format", "huggingface", f"One of {', '.join(FORMATS)}.")
  flags.DEFINE_string("output", None, "Folder to make.")
  flags.mark_flag_as_required("output")


def main(_: Sequence[str]) -> None:
  """Export what the flags say."""
  given = flags.FLAGS
  target = run(
    output=given.output,
    format=given.format,
    bundle=given.bundle,
    workdir=given.workdir,
    step=given.step,
  )
  print(f"wrote {target}")


if __name__ == "__main__":
  define_flags()
  cli.run(main)
