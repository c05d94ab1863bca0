# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Read models of SentencePiece, and the files of transformers beside them."""

import pathlib
from collections.abc import Mapping
from typing import Any

from data_pipelines.tokenizers import huggingface_keys as keys
from data_pipelines.tokenizers.huggingface_added import read_added
from data_pipelines.tokenizers.huggingface_files import (
  check_special_names,
  read_contents,
  read_object,
  read_settings,
)
from data_pipelines.tokenizers.huggingface_names import (
  CONFIG_FILE,
  TOKENIZER_FILE,
)
from data_pipelines.tokenizers.huggingface_template import (
  other_frame,
  read_template,
)
from data_pipelines.tokenizers.kinds import KINDS
from data_pipelines.tokenizers.library_tokenizer import LibraryTokenizer
from data_pipelines.tokenizers.sentencepiece_model import SentencePiece
from data_pipelines.tokenizers.template import Template


def load_sentencepiece(
  path: pathlib.Path, *, drop_added: bool = False
) -> SentencePiece:
  """Read a model of SentencePiece, and the JSON files beside it.

  Args:
    path: the model.
    drop_added: whether to leave out tokens that were added to the vocabulary:
      where a text has one, it is cut like any other word.

  Raises:
    ValueError: not a model, or the files contradict each other, or ask for
      something that is not done here.
  """
  root, origin = path.parent, str(path)
  settings = read_settings(root)
  contents = read_contents(root)
  model = path.read_bytes()
  class_ = _find_class(settings, root)
  tokenizer = class_.read(model, settings, origin=origin)
  _check_rules(tokenizer, settings, path)
  check_special_names(tokenizer, root)
  whole = contents[TOKENIZER_FILE]
  _check_tokens(tokenizer, whole.get("model") or {}, path)
  template = _read_frame(tokenizer, whole.get("post_processor"), path)
  if template != tokenizer.template:
    tokenizer = SentencePiece(model, template=template, origin=origin)
  if drop_added:
    return tokenizer
  names = [tokenizer.tokens[id_] for id_ in tokenizer.special_ids.values()]
  if not issubclass(class_, LibraryTokenizer):
    keys.check_added(contents, names, str(root))
    return tokenizer
  added = read_added(contents, tokenizer.tokens, names, str(root))
  if not added:
    return tokenizer
  return class_.read(model, settings, added=added, origin=origin)


def _find_class(
  settings: Mapping[str, Any], root: pathlib.Path
) -> type[SentencePiece]:
  """Return the class of a tokenizer, as transformers finds it.

  tokenizer_config.json names it, or else the model that is beside it does.
  """
  named = settings.get("tokenizer_class")
  family = None
  if named is None:
    family = read_object(root / "config.json").get("model_type")
  for name, kind in KINDS.items():
    tokenizer = kind.tokenizer
    if not issubclass(tokenizer, SentencePiece) or not tokenizer.own_class:
      continue
    if name == family or named in (
      tokenizer.own_class,
      f"{tokenizer.own_class}Fast",
    ):
      return tokenizer
  return SentencePiece


def _check_rules(
  tokenizer: SentencePiece, settings: Mapping[str, Any], path: pathlib.Path
) -> None:
  """Refuse rules that a model does not have."""
  done = {
    "lowercase": tokenizer.lowercase,
    keys.ACCENTS: not tokenizer.strip_accents,
  }
  rules = [(key, rule) for key, _, rule in keys.RULES]
  for key, rule in (*rules, (keys.ACCENTS, keys.ACCENTS)):
    value = settings.get(key)
    if value is not None and value != done.get(rule):
      raise ValueError(
        f"{path.parent}: {CONFIG_FILE} says {key}={value}, which "
        f"{path.name} does not do; remove the key to use the model as it is"
      )


def _check_tokens(
  tokenizer: SentencePiece, model: Mapping[str, Any], path: pathlib.Path
) -> None:
  """Refuse a tokenizer.json with another vocabulary, as fairseq's ids are."""
  words = model.get("vocab")
  if isinstance(words, Mapping):
    words = sorted(words, key=words.__getitem__)
  elif words:
    words = [entry[0] for entry in words]
  if words and words != tokenizer.tokens:
    raise ValueError(
      f"{path} and {TOKENIZER_FILE} have different tokens; remove the wrong "
      f"file (ids of {tokenizer.vocab_size} and {len(words)} tokens)"
    )


def _read_frame(
  tokenizer: SentencePiece, processor: Any, path: pathlib.Path
) -> Template:
  """Return the special tokens around texts: BERT's if no file says others."""
  if processor is None:
    return tokenizer.template
  ids = {token: id_ for id_, token in enumerate(tokenizer.tokens)}
  found = read_template(processor, ids)
  if found == tokenizer.template:
    return tokenizer.template
  obstacle = tokenizer.export_obstacle
  if tokenizer.own_class:
    obstacle = f"{tokenizer.own_class} has no others"
  if found is None or obstacle:
    wrong = other_frame(processor, tokenizer.tokens, tokenizer.special_ids)
    raise ValueError(
      f"{path.with_name(TOKENIZER_FILE)}: {wrong}"
      f"{obstacle and f', and {obstacle}'}; correct or remove it"
    )
  return found
