# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Folders with a small WordPiece, to change a key of."""

import json

from data_pipelines.tokenizers.wordpiece import WordPiece

CONFIG, FAST = "tokenizer_config.json", "tokenizer.json"
TOKENS = (
  *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
  *("the", "cod", "##s", "Cod", "é", "e", ",", "東", "京"),
)


def write(folder, *, lowercase=True, tokens=TOKENS):
  folder.mkdir()
  WordPiece(tokens, lowercase=lowercase).save(folder)
  return folder


def change(path, **fields):
  """Replace fields of a JSON file; "a.b" is of the object a."""
  whole = json.loads(path.read_text())
  for name, value in fields.items():
    place, *inner = name.split("__")
    if inner:
      whole[place][inner[0]] = value
    else:
      whole[place] = value
  path.write_text(json.dumps(whole))
