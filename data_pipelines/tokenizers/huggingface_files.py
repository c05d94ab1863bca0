# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Read the JSON files of a tokenizer in Hugging Face's format."""

import json
import pathlib
from typing import Any

from data_pipelines.tokenizers.huggingface_keys import (
  check_keys,
  check_special_tokens,
)
from data_pipelines.tokenizers.huggingface_names import (
  ADDED_FILE,
  CONFIG_FILE,
  SPECIALS_FILE,
  TOKENIZER_FILE,
)
from data_pipelines.tokenizers.tokenizer import Tokenizer


def read_object(path: pathlib.Path) -> dict[str, Any]:
  """Return the JSON object in a file, empty if the file does not exist.

  Raises:
    ValueError: the file holds something else.
  """
  if not path.is_file():
    return {}
  try:
    value = json.loads(path.read_text(encoding="utf-8"))
  except ValueError:
    value = None
  if not isinstance(value, dict):
    raise ValueError(f"{path} is not a JSON object; correct or remove it")
  return value


def read_contents(root: pathlib.Path) -> dict[str, dict[str, Any]]:
  """Return the content of each file that can name added tokens.

  Raises:
    ValueError: as `read_object`.
  """
  names = (TOKENIZER_FILE, CONFIG_FILE, SPECIALS_FILE, ADDED_FILE)
  return {name: read_object(root / name) for name in names}


def read_settings(root: pathlib.Path) -> dict[str, Any]:
  """Return the content of tokenizer_config.json, whose keys are known.

  Raises:
    ValueError: a key is not known, or as `read_object`.
  """
  settings = read_object(root / CONFIG_FILE)
  check_keys(CONFIG_FILE, settings, str(root / CONFIG_FILE))
  return settings


def check_special_names(tokenizer: Tokenizer, root: pathlib.Path) -> None:
  """Compare the special tokens that two files name with the vocabulary's.

  Raises:
    ValueError: a file names another token.
  """
  names = {
    f"{name}_token": tokenizer.tokens[id_]
    for name, id_ in tokenizer.special_ids.items()
  }
  for name in (CONFIG_FILE, SPECIALS_FILE):
    values = read_object(root / name)
    if name == SPECIALS_FILE:
      check_keys(name, values, str(root / name))
    check_special_tokens(values, names, str(root / name))


def list_tokens(ids: Any, origin: str) -> list[str]:
  """Return tokens by id.

  Args:
    ids: token → id.
    origin: the file, for messages.

  Raises:
    ValueError: the ids are not 0, 1, 2 and so on.
  """
  if not isinstance(ids, dict) or set(map(repr, ids.values())) != set(
    map(repr, range(len(ids)))
  ):
    raise ValueError(f"{origin}: its tokens are not numbered 0, 1, 2, …")
  return sorted(ids, key=ids.__getitem__)
