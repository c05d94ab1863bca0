# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The folder of a model on the Hugging Face hub, for transformers.

A pre-trained model is one folder with the encoder and all heads of its family,
as those of the hub are, such as `BertForPreTraining` with the pooler and both
heads. A fine-tuned model is its family's class of its head.
"""

import logging
import pathlib

from bertjax import files
from bertjax.config.model import drops
from bertjax.finetune.task import Head
from bertjax.interop import huggingface_files
from bertjax.interop.architectures import PRETRAINING
from bertjax.interop.families.registry import family_of
from bertjax.interop.huggingface_config import with_dropout
from bertjax.interop.outputs import NONE
from data_pipelines.tokenizers import tokenizers
from launch.exports import folder
from launch.exports.formats import Format, Options
from launch.exports.trained import Trained
from launch.reports import model_card
from launch.reports.model_card_kinds import of_transformers

LAYOUT = "huggingface"


def check(target: pathlib.Path, options: Options) -> None:
  """Refuse what no folder gets, and a target that is not an export."""
  check_dtype(options)
  folder.check_license(options)
  folder.check_target(target, huggingface_files.WEIGHTS, LAYOUT)


def check_dtype(options: Options) -> None:
  """Refuse a dtype that no file of weights gets."""
  if options.dtype not in (None, *huggingface_files.DTYPES):
    known = " or ".join(huggingface_files.DTYPES)
    raise ValueError(f"--dtype={options.dtype}; give {known}")


def write(trained: Trained, target: pathlib.Path, options: Options) -> None:
  """Write the folder.

  Raises:
    ValueError: no class of transformers computes what the model computes.
  """
  head = trained.head
  if head is not None:
    check_head(head, can_average=bool(family_of(trained.model).pooling))
  trained = with_rates(trained, options.for_finetuning)
  tokenizer = tokenizers.load(trained.tokenizer_path)
  if tokenizer.export_obstacle:
    logging.warning(
      "AutoTokenizer cannot read the tokenizer of the folder: %s",
      tokenizer.export_obstacle,
    )
  architecture = PRETRAINING if head is None else head.architecture
  with files.replace_folder(target) as partial:
    huggingface_files.export_model(
      trained.params,
      trained.model,
      partial,
      architecture=architecture,
      pad_id=tokenizer.pad_id,
      outputs=NONE if head is None else head.outputs,
      dtype=options.dtype or huggingface_files.DTYPES[0],
    )
    if head is not None and head.pooling:
      huggingface_files.write_pooling(partial, trained.model, head.pooling)
    card = model_card.make_card(
      target.name,
      of_transformers(head, trained.model),
      trained.model,
      trained.details,
      options.license or model_card.UNKNOWN_LICENSE,
    )
    folder.write_beside(
      trained, partial / huggingface_files.WEIGHTS, tokenizer, card, LAYOUT
    )


def check_head(head: Head, *, can_average: bool = False) -> None:
  """Refuse a head that no class of transformers has.

  Args:
    head: the head.
    can_average: whether the family's class may average over tokens.

  Raises:
    ValueError: the head pools otherwise than transformers does, or windows.
  """
  # "" is of heads that pool nothing.
  if head.pooling not in ("cls", "", *(("mean",) if can_average else ())):
    raise ValueError(
      f"this model has pooling={head.pooling}, which no class of transformers "
      "computes; give --format=sentence_transformers or onnx, or fine-tune "
      "with --config.pooling=cls"
    )
  if {"pool_max", "pool_attention"} & {*head.settings}:
    raise ValueError(
      "this model pools the windows of long texts, which no class of "
      "transformers does; give --format=onnx, or fine-tune with "
      "--config.task.long_texts=cut"
    )


def with_rates(trained: Trained, for_finetuning: bool | None) -> Trained:
  """Say that a run had no dropout; put BERT's rates in its place if asked.

  A family that is published without dropout is left as it is.

  Args:
    trained: what is exported.
    for_finetuning: as of `Options`.
  """
  if drops(trained.model):
    return trained
  write = for_finetuning
  if write is None:
    if not family_of(trained.model).drops:
      return trained
    write = trained.details.task is None
  written = "says 0, so that fine-tuning uses no dropout (--nofor_finetuning)"
  if write:
    trained = trained._replace(model=with_dropout(trained.model))
    written = "says 0.1, BERT's, for fine-tuning (--for_finetuning)"
  logging.warning(
    "the model was trained without dropout; the config.json %s", written
  )
  return trained


FORMAT = Format(
  "a folder for Hugging Face transformers",
  frozenset({"license", "dtype", "for_finetuning"}),
  check,
  write,
)
