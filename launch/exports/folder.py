# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What stands beside the weights in every folder that is not a bundle.

The tokenizer's files, the bundle's record and the model card.
"""

import json
import pathlib

from bertjax import files
from bertjax.interop.provenance import read_layout, write_provenance
from data_pipelines.tokenizers.huggingface_names import CONFIG_FILE
from data_pipelines.tokenizers.tokenizer import Tokenizer
from launch.exports.formats import Options
from launch.exports.trained import Trained
from launch.reports import model_card

CARD = "README.md"


def check_target(target: pathlib.Path, weights: str, layout: str) -> None:
  """Refuse a target that holds anything but an export as it was written.

  Args:
    target: the folder to make.
    weights: name of its file of weights.
    layout: name of its format.

  Raises:
    ValueError: `target` exists, and we did not export it in this format, or
      its weights have been changed since.
  """
  if not target.exists() or (target.is_dir() and not any(target.iterdir())):
    return
  # Earlier versions did not write the format.
  if read_layout(target / weights) not in ("", layout):
    raise ValueError(
      f"{target} exists and is not an export of --format={layout} with its "
      "weights unchanged; give another folder"
    )


def check_license(options: Options) -> None:
  """Refuse an identifier that the card cannot hold."""
  if options.license is not None:
    model_card.check_license(options.license)


def longest_text(trained: Trained) -> int:
  """Return the tokens to which a tokenizer truncates by default."""
  head = trained.head
  return trained.model.max_positions if head is None else head.seq_length


def write_beside(
  trained: Trained,
  weights: pathlib.Path,
  tokenizer: Tokenizer,
  card: str,
  layout: str,
) -> None:
  """Write tokenizer, record and card beside `weights`.

  Args:
    trained: what is exported.
    weights: file of the weights, whose hash the record holds.
    tokenizer: tokenizer of the model.
    card: text of the model card.
    layout: name of the folder's format.
  """
  folder = weights.parent
  write_tokenizer(
    tokenizer,
    folder,
    longest_text(trained),
    has_types=trained.model.type_vocab_size > 1,
  )
  write_provenance(weights, trained.details, layout)
  files.write_text(folder / CARD, card)


def write_tokenizer(
  tokenizer: Tokenizer, folder: pathlib.Path, longest: int, *, has_types: bool
) -> None:
  """Write a tokenizer's files.

  Args:
    tokenizer: the tokenizer.
    folder: where to write.
    longest: tokens to which a text is truncated by default.
    has_types: whether the model tells the two texts of a pair apart by types.
  """
  tokenizer.save(folder)
  path = folder / CONFIG_FILE
  if path.is_file():  # otherwise transformers cannot read this tokenizer
    settings = json.loads(path.read_text(encoding="utf-8"))
    settings["model_max_length"] = longest
    if not has_types:
      # Models without types of tokens have no such argument.
      settings["model_input_names"] = ["input_ids", "attention_mask"]
    files.write_json(path, settings, sort_keys=True)
