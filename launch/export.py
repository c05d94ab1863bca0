# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Export a trained model as a bundle or for Hugging Face transformers.

  python -m launch.export --bundle=DIR --format=huggingface --output=DIR \
    [--license=apache-2.0] [--dtype=bfloat16] [--[no]for_finetuning]
  python -m launch.export --workdir=DIR --step=N --format=bundle --output=DIR

Any committed step of a workdir can be exported, also after a run was killed.
The Hugging Face folder loads with `AutoModel` and `AutoTokenizer`; its folder
`pretraining` has the heads as well, for `AutoModelForMaskedLM`. The folder of a
classifier loads with `AutoModelForSequenceClassification`. README.md says what
the model was made from and how to load it.

A run without dropout is exported with the rates of BERT, 0.1, unless the model
is fine-tuned already: transformers takes the rates of fine-tuning from
config.json. --nofor_finetuning writes the rates of the run.
"""

import json
import logging
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from absl import flags

from bertjax import files
from bertjax.checkpoints import bundle as bundles
from bertjax.checkpoints.bundle_checks import check_tokenizer_files
from bertjax.checkpoints.checkpoint import Checkpoints
from bertjax.config import CheckpointConfig, ModelConfig, from_mapping, renamed
from bertjax.config.model import drops
from bertjax.finetune.task import Head
from bertjax.interop import huggingface_files
from bertjax.interop.architectures import CLASSIFICATION, ENCODER, PRETRAINING
from bertjax.interop.huggingface_config import with_dropout
from bertjax.interop.provenance import RECORD, write_provenance
from data_pipelines.tokenizers import tokenizers
from data_pipelines.tokenizers.huggingface_keys import CONFIG_FILE
from data_pipelines.tokenizers.tokenizer import Tokenizer
from launch import cli
from launch.reports import model_card
from launch.run.origin import CHECKPOINTS
from launch.run.restoring import TOKENIZER

FORMATS = ("huggingface", "bundle")
CARD = "README.md"
# Fields of a checkpoint's record that are not details of a bundle.
_RUN_ONLY = ("identity", "pipeline", "hooks", "tokenizer_files")

Path = str | os.PathLike[str]


class HuggingFace(NamedTuple):
  """What a Hugging Face folder says.

  Attributes:
    license: license of the weights, for the model card.
    dtype: dtype of the weights; a bundle has float32.
    for_finetuning: whether config.json gets BERT's dropout where the run had
      none; None does so if the model is not fine-tuned yet.
  """

  license: str = model_card.UNKNOWN_LICENSE
  dtype: str = "float32"
  for_finetuning: bool | None = None


class Trained(NamedTuple):
  """Parameters on one device, their model, and where they come from."""

  params: Any
  model: ModelConfig
  tokenizer_path: pathlib.Path
  details: bundles.Details
  tokenizer_files: Mapping[str, str] | None = None


def run(
  *,
  output: Path,
  format: str = "huggingface",
  bundle: Path | None = None,
  workdir: Path | None = None,
  step: int | None = None,
  huggingface: HuggingFace | None = None,
) -> pathlib.Path:
  """Write `output` from a bundle, or from a committed step of a workdir.

  Args:
    output: folder to make; an earlier export of the same format is replaced.
    format: "huggingface" or "bundle".
    bundle: folder of a bundle; give this or `workdir`.
    workdir: folder of a run, finished or not.
    step: committed step of the workdir; None takes the newest.
    huggingface: what a Hugging Face folder says; a bundle says what it is.

  Returns:
    `output`.

  Raises:
    ValueError: there is nothing to export, `output` is something else, or no
      class of transformers computes what the model computes.
  """
  if format not in FORMATS:
    raise ValueError(f"--format={format}; give one of {', '.join(FORMATS)}")
  said = huggingface or HuggingFace()
  _check_said(said, format)
  if (bundle is None) == (workdir is None):
    raise ValueError("give either --bundle=DIR or --workdir=DIR")
  if step is not None and workdir is None:
    raise ValueError(f"--step={step} needs --workdir; a bundle has one step")
  target = pathlib.Path(output)
  check = (
    _check_huggingface if format == "huggingface" else bundles.check_target
  )
  check(target)
  if bundle is not None:
    trained = _read_bundle(bundle)
  else:
    trained = _read_workdir(pathlib.Path(workdir or ""), step)
  if format == "bundle":
    bundles.write_bundle(
      target,
      trained.params,
      trained.model,
      trained.tokenizer_path,
      trained.details,
      trained.tokenizer_files,
    )
  else:
    _write_huggingface(_with_dropout(trained, said), target, said)
  return target


def _check_said(said: HuggingFace, format: str) -> None:
  if said.dtype not in huggingface_files.DTYPES:
    known = " or ".join(huggingface_files.DTYPES)
    raise ValueError(f"--dtype={said.dtype}; give {known}")
  model_card.check_license(said.license)
  if said.for_finetuning is not None and format == "bundle":
    raise ValueError(
      f"--for_finetuning={said.for_finetuning} is for --format=huggingface; a "
      "fine-tuning run takes its dropout from its own config"
    )


def _read_bundle(path: Path) -> Trained:
  info = bundles.read_bundle_info(path)
  return Trained(
    bundles.load_params(info),
    info.model,
    info.tokenizer_path,
    info.details,
    info.tokenizer_files,
  )


def _read_workdir(workdir: pathlib.Path, step: int | None) -> Trained:
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


def _with_dropout(trained: Trained, said: HuggingFace) -> Trained:
  """Say that a run had no dropout; put BERT's rates in its place if asked."""
  if drops(trained.model):
    return trained
  write = said.for_finetuning
  if write is None:
    write = trained.details.task is None
  written = "says 0, so that fine-tuning uses no dropout (--nofor_finetuning)"
  if write:
    trained = trained._replace(model=with_dropout(trained.model))
    written = "says 0.1, BERT's, for fine-tuning (--for_finetuning)"
  logging.warning(
    "the model was trained without dropout; the config.json %s", written
  )
  return trained


def _check_huggingface(target: pathlib.Path) -> None:
  # A folder of weights without our record was not exported by us.
  if target.exists() and not (target / RECORD).is_file():
    if target.is_dir() and not any(target.iterdir()):
      return
    raise ValueError(
      f"{target} exists and is not an export; give another folder"
    )


def _write_huggingface(
  trained: Trained, target: pathlib.Path, said: HuggingFace
) -> None:
  head = _head(trained)
  tokenizer = tokenizers.load(trained.tokenizer_path)
  with files.replace_folder(target) as partial:
    for architecture, folder in _write_weights(
      trained, head, partial, pad_id=tokenizer.pad_id, dtype=said.dtype
    ).items():
      longest = head.seq_length if head else trained.model.max_positions
      _write_tokenizer(tokenizer, folder, longest)
      write_provenance(folder / huggingface_files.WEIGHTS, trained.details)
      card = model_card.make_card(
        target.name, architecture, trained.model, trained.details, said.license
      )
      files.write_text(folder / CARD, card)


def _head(trained: Trained) -> Head | None:
  """Return the head of a fine-tuned model, if transformers can compute it."""
  if trained.details.task is None:
    return None
  head = Head(**trained.details.task)
  if head.architecture == CLASSIFICATION and head.pooling != "cls":
    raise ValueError(
      f"this classifier has pooling={head.pooling}, which no class of "
      "transformers computes; fine-tune with --config.pooling=cls to export"
    )
  return head


def _write_weights(
  trained: Trained,
  head: Head | None,
  folder: pathlib.Path,
  *,
  pad_id: int,
  dtype: str,
) -> dict[str, pathlib.Path]:
  """Write weights and configs; return the folder of each architecture."""
  if head is None:
    root, nested = huggingface_files.export_pretraining(
      trained.params, trained.model, folder, pad_id=pad_id, dtype=dtype
    )
    return {ENCODER: root, PRETRAINING: nested}
  huggingface_files.export_model(
    trained.params,
    trained.model,
    folder,
    architecture=head.architecture,
    pad_id=pad_id,
    labels=head.labels,
    dtype=dtype,
  )
  return {head.architecture: folder}


def _write_tokenizer(
  tokenizer: Tokenizer, folder: pathlib.Path, longest: int
) -> None:
  """Write a tokenizer's files, with `longest` as the default truncation."""
  tokenizer.save(folder)
  path = folder / CONFIG_FILE
  if path.is_file():  # otherwise transformers cannot read this tokenizer
    settings = json.loads(path.read_text(encoding="utf-8"))
    settings["model_max_length"] = longest
    files.write_json(path, settings, sort_keys=True)


def define_flags() -> None:
  """Define the flags; not at import, since `run` has other callers."""
  flags.DEFINE_string("bundle", None, "Folder of the bundle to export.")
  flags.DEFINE_string("workdir", None, "Workdir of a run, instead of a bundle.")
  flags.DEFINE_integer(
    "step", None, "Step of the workdir to export; the newest if not given."
  )
  flags.DEFINE_string(
    "format", "huggingface", f"Format to write: {' or '.join(FORMATS)}."
  )
  flags.DEFINE_string("output", None, "Folder to make.")
  flags.DEFINE_string(
    "license",
    model_card.UNKNOWN_LICENSE,
    "License of the weights for the model card, as the hub names it.",
  )
  flags.DEFINE_string(
    "dtype",
    "float32",
    "Dtype of the weights in a Hugging Face folder: "
    f"{' or '.join(huggingface_files.DTYPES)}.",
  )
  flags.DEFINE_bool(
    "for_finetuning",
    None,
    "Write BERT's dropout into config.json where the run had none; the default "
    "for models that are not fine-tuned yet.",
  )
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
    huggingface=HuggingFace(given.license, given.dtype, given.for_finetuning),
  )
  print(f"wrote {target}")


if __name__ == "__main__":
  define_flags()
  cli.run(main)
