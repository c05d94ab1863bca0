# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The folder of a model that gives vectors, for sentence-transformers.

It pools as the fine-tuned model does, or as --pooling says, and has no head.
"""

import logging
import pathlib
from typing import Any

import jax
import numpy as np

from bertjax import files
from bertjax.config import ModelConfig
from bertjax.finetune.task import Head
from bertjax.interop import huggingface_files
from bertjax.interop.architectures import ENCODER
from bertjax.interop.sentence_transformers import (
  POOLINGS,
  Pooling,
  write_modules,
)
from bertjax.model import parameters
from bertjax.model.heads import has_pooler
from data_pipelines.tokenizers import tokenizers
from launch.exports import folder, huggingface
from launch.exports.formats import Format, Options
from launch.exports.trained import Trained
from launch.reports import model_card, model_card_kinds

# What is written where nothing was trained and nothing is said: a state of
# [CLS] that no loss has reached says little about the text.
DEFAULT = "mean"
LAYOUT = "sentence_transformers"
_OF_HEADS = "The scores are those of the model with its heads."


def check(target: pathlib.Path, options: Options) -> None:
  """Refuse an unknown pooling, and a target that is not an export."""
  if options.pooling not in (None, *POOLINGS):
    raise ValueError(
      f"--pooling={options.pooling}; give one of {', '.join(POOLINGS)}"
    )
  folder.check_license(options)
  folder.check_target(target, huggingface_files.WEIGHTS, LAYOUT)


def write(trained: Trained, target: pathlib.Path, options: Options) -> None:
  """Write the folder.

  Raises:
    ValueError: no module of sentence-transformers pools as the model does, or
      transformers cannot read the tokenizer.
  """
  pooling = _pooling(trained, options)
  trained = huggingface.with_rates(trained, options.for_finetuning)
  tokenizer = tokenizers.load(trained.tokenizer_path)
  if tokenizer.export_obstacle:
    raise ValueError(
      f"transformers cannot read the tokenizer: {tokenizer.export_obstacle}; "
      "give --format=huggingface, whose tokenizer other programs can read"
    )
  longest = folder.longest_text(trained)
  if trained.head is not None:
    _warn_of_loss(trained.head, longest)
  params = dict(trained.params)
  if parameters.POOLER not in params:
    params[parameters.POOLER] = _initial_pooler(trained.model)
  with files.replace_folder(target) as partial:
    huggingface_files.export_model(
      params,
      trained.model,
      partial,
      architecture=ENCODER,
      pad_id=tokenizer.pad_id,
    )
    write_modules(
      partial, pooling, width=trained.model.hidden_size, max_tokens=longest
    )
    card = model_card.make_card(
      target.name,
      model_card_kinds.of_sentences(pooling, trained.model, longest),
      trained.model,
      trained.details,
      options.license or model_card.UNKNOWN_LICENSE,
      notes=(_OF_HEADS,) if trained.details.evaluation else (),
    )
    folder.write_beside(
      trained, partial / huggingface_files.WEIGHTS, tokenizer, card, LAYOUT
    )


def _pooling(trained: Trained, options: Options) -> Pooling:
  """Return the pooling that was chosen, or trained, or else the default."""
  normalize = bool(options.normalize)
  if options.pooling is not None:
    return Pooling(options.pooling, normalize=normalize)
  pooled = "" if trained.head is None else trained.head.pooling
  if (
    pooled
    and trained.model.sequence_head != "pooler"
    and has_pooler(trained.model, pooled)
  ):
    raise ValueError(
      f"this model has pooling={pooled} below model.sequence_head="
      f"{trained.model.sequence_head}, which no module of "
      f"sentence-transformers computes; give --pooling={'|'.join(POOLINGS)}"
    )
  if pooled == "cls":
    pooler = trained.params[parameters.POOLER]["dense"]
    return Pooling("cls", pooler, normalize)
  if pooled in POOLINGS:
    return Pooling(pooled, normalize=normalize)
  if pooled:
    raise ValueError(
      f"this model has pooling={pooled}, which no module of "
      f"sentence-transformers computes; give --pooling={'|'.join(POOLINGS)}"
    )
  logging.warning(
    "nothing was trained on one vector for a text; the folder says "
    "--pooling=%s",
    DEFAULT,
  )
  return Pooling(DEFAULT, normalize=normalize)


def _warn_of_loss(head: Head, longest: int) -> None:
  """Say what of a fine-tuned model the folder does not hold."""
  logging.warning(
    "the folder gives vectors and drops the head fine-tuned for %s; "
    "--format=onnx keeps it",
    head.name,
  )
  if "stride" in head.settings:
    logging.warning(
      "the model reads long texts in windows, and the folder reads the first "
      "%d tokens alone; --format=onnx gives the outputs of each window",
      longest,
    )


def _initial_pooler(config: ModelConfig) -> dict[str, Any]:
  """Return a pooler as it is before training.

  `AutoModel` has one, and warns where a folder has none. No module reads it,
  and the record says that it is not trained.
  """
  width = config.hidden_size
  kernel_DD = config.initializer_std * jax.random.truncated_normal(
    jax.random.key(0), -2, 2, (width, width)
  )
  bias_D = np.zeros(width, np.float32)
  return {"dense": {"kernel": np.asarray(kernel_DD), "bias": bias_D}}


FORMAT = Format(
  "a folder for sentence-transformers",
  frozenset({"license", "for_finetuning", "pooling", "normalize"}),
  check,
  write,
)
