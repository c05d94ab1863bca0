# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Write a tokenizer as the files that Hugging Face transformers reads."""

import pathlib
from collections.abc import Mapping
from typing import Any

from bertjax.files import write_json, write_text
from data_pipelines.tokenizers import added_tokens
from data_pipelines.tokenizers.huggingface_names import (
  CONFIG_FILE,
  TOKENIZER_FILE,
)
from data_pipelines.tokenizers.huggingface_template import make_processor
from data_pipelines.tokenizers.template import Template
from data_pipelines.tokenizers.tokenizer import Tokenizer


def save_huggingface(
  folder: pathlib.Path,
  tokenizer: Tokenizer,
  backend: Any,
  more: Mapping[str, Any] | None = None,
  *,
  prefix_space: bool = False,
) -> dict[str, Any]:
  """Write the files from which transformers' AutoTokenizer gives equal ids.

  Args:
    folder: where to write.
    tokenizer: the tokenizer to write.
    backend: a `tokenizers.Tokenizer` of Hugging Face that gives equal ids to
      texts without added tokens; it gets them.
    more: more keys of tokenizer_config.json.
    prefix_space: whether a text that begins without a space gets one.

  Returns:
    "cls_token" and so on → the token, as special_tokens_map.json has them.
  """
  tokens = tokenizer.tokens
  backend.post_processor = make_processor(
    tokenizer.template, tokens, prefix_space=prefix_space
  )
  names = {
    f"{name}_token": tokens[id_] for name, id_ in tokenizer.special_ids.items()
  }
  mask = _mask(tokenizer)
  others = [
    added_tokens.AddedToken(id_, tokens[id_], special=True, normalized=False)
    for id_ in tokenizer.special_ids.values()
    if id_ != mask.id
  ]
  added_tokens.add_tokens(backend, [*others, mask, *tokenizer.added])
  write_text(folder / TOKENIZER_FILE, backend.to_str(pretty=True) + "\n")
  config = {
    # "BertTokenizer" of transformers 5 would read only the vocabulary of
    # tokenizer.json and limit words to 100 characters again.
    "tokenizer_class": "PreTrainedTokenizerFast",
    "model_input_names": _input_names(tokenizer.template),
    "do_lower_case": tokenizer.lowercase,
    **names,
    **_added(tokenizer),
    **(more or {}),
  }
  write_json(folder / CONFIG_FILE, config, sort_keys=True)
  return {**names, "mask_token": mask.fields()}


def _input_names(template: Template) -> list[str]:
  """Return the inputs of a model, types among them if a text has another."""
  types = ["token_type_ids"] if template.second_type else []
  return ["input_ids", *types, "attention_mask"]


def _mask(tokenizer: Tokenizer) -> added_tokens.AddedToken:
  return added_tokens.AddedToken(
    tokenizer.mask_id,
    tokenizer.tokens[tokenizer.mask_id],
    special=True,
    normalized=False,
    lstrip=tokenizer.mask_takes_space,
  )


def _added(tokenizer: Tokenizer) -> dict[str, Any]:
  """Return the keys of tokenizer_config.json about added tokens."""
  masks = [_mask(tokenizer)] if tokenizer.mask_takes_space else []
  if not tokenizer.added and not masks:
    return {}
  return {
    "added_tokens_decoder": {
      str(token.id): token.fields() for token in (*masks, *tokenizer.added)
    },
    # Its name in transformers before 5, which 5 reads, too.
    "additional_special_tokens": [
      token.content for token in tokenizer.added if token.special
    ],
  }
