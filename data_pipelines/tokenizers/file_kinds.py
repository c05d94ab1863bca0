# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Refuse files of tokenizers that hold something else than their name says."""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

from data_pipelines.tokenizers.huggingface_names import TOKENIZER_FILE

_POINTER = b"version https://git-lfs"
_MERGES = b"#version"
_START = 64  # bytes that tell them apart


def check_file(path: pathlib.Path) -> None:
  """Refuse a file whose first bytes are of another kind of file.

  Args:
    path: a vocab.txt, a vocab.json, a tokenizer.json or a .model.

  Raises:
    ValueError: names the file, what it holds, and what to give.
  """
  with path.open("rb") as file:
    start = file.read(_START).lstrip()
  if start.startswith(_POINTER):
    raise ValueError(
      f"{path} is a pointer of Git LFS to the file; fetch it with `git lfs "
      "pull`, or download the file itself"
    )
  if path.suffix != ".txt":
    return
  if start.startswith(_MERGES):
    raise ValueError(
      f"{path} holds the merges of a BPE tokenizer; name it merges.txt, and "
      "give the vocab.json beside it, or the folder"
    )
  if start.startswith(b"{") and _is_json(path):
    raise ValueError(
      f"{path} holds JSON, and a vocab.txt has a token on each line; name it "
      f"{TOKENIZER_FILE}, or vocab.json beside a merges.txt"
    )


def _is_json(path: pathlib.Path) -> bool:
  try:
    return isinstance(json.loads(path.read_bytes()), dict)
  except ValueError:
    return False


def check_content(path: pathlib.Path, content: Mapping[str, Any]) -> None:
  """Refuse a tokenizer.json that is a vocab.json, and the reverse.

  Args:
    path: the file.
    content: the object in it.

  Raises:
    ValueError: names the file, what it holds, and what to give.
  """
  is_whole = isinstance(content.get("model"), Mapping)
  if path.name == TOKENIZER_FILE and not is_whole:
    raise ValueError(
      f"{path} has no model; give the {TOKENIZER_FILE} that save_pretrained of "
      "transformers writes, or a vocab.json beside a merges.txt"
    )
  if path.name != TOKENIZER_FILE and is_whole:
    raise ValueError(
      f"{path} holds a whole tokenizer; name it {TOKENIZER_FILE}"
    )
