# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Write a tokenizer as the files that Hugging Face transformers reads."""

import pathlib
from collections.abc import Mapping
from typing import Any

from bertjax.files import write_json, write_text
from data_pipelines.tokenizers.added_tokens import add_tokens
from data_pipelines.tokenizers.huggingface_keys import (
  CONFIG_FILE,
  TOKENIZER_FILE,
)
from data_pipelines.tokenizers.tokenizer import Tokenizer


def save_huggingface(
  folder: pathlib.Path,
  tokenizer: Tokenizer,
  backend: Any,
  more: Mapping[str, Any] | None = None,
) -> None:
  """Write the files from which transformers' AutoTokenizer gives equal ids.

  Args:
    folder: where to write.
    tokenizer: the tokenizer to write.
    backend: a `tokenizers.Tokenizer` of Hugging Face that gives equal ids to
      texts without added tokens; it gets them.
    more: more keys of tokenizer_config.json.
  """
  from tokenizers import processors

  tokens = tokenizer.tokens
  cls, sep = tokens[tokenizer.cls_id], tokens[tokenizer.sep_id]
  backend.post_processor = processors.TemplateProcessing(
    single=f"{cls} $A {sep}",
    pair=f"{cls} $A {sep} $B:1 {sep}:1",
    special_tokens=[(cls, tokenizer.cls_id), (sep, tokenizer.sep_id)],
  )
  names = {
    f"{name}_token": tokens[id_] for name, id_ in tokenizer.special_ids.items()
  }
  backend.add_special_tokens(list(names.values()))
  add_tokens(backend, tokenizer.added)
  write_text(folder / TOKENIZER_FILE, backend.to_str(pretty=True) + "\n")
  config = {
    # "BertTokenizer" of transformers 5 would read only the vocabulary of
    # tokenizer.json and limit words to 100 characters again.
    "tokenizer_class": "PreTrainedTokenizerFast",
    "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
    "do_lower_case": tokenizer.lowercase,
    **names,
    **_added(tokenizer),
    **(more or {}),
  }
  write_json(folder / CONFIG_FILE, config, sort_keys=True)


def _added(tokenizer: Tokenizer) -> dict[str, Any]:
  """Return the keys of tokenizer_config.json about added tokens."""
  if not tokenizer.added:
    return {}
  return {
    "added_tokens_decoder": {
      str(token.id): token.fields() for token in tokenizer.added
    },
    # Its name in transformers before 5, which 5 reads, too.
    "additional_special_tokens": [
      token.content for token in tokenizer.added if token.special
    ],
  }
