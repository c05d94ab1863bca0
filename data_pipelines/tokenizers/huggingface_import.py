# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Read tokenizers that Hugging Face transformers, or bertjax, has written."""

import os
import pathlib
from collections.abc import Mapping
from typing import Any

from data_pipelines.tokenizers import huggingface_keys as keys
from data_pipelines.tokenizers.byte_bpe import MERGES_FILE, VOCAB_JSON
from data_pipelines.tokenizers.fairseq import FAIRSEQ_FILE
from data_pipelines.tokenizers.file_kinds import check_content, check_file
from data_pipelines.tokenizers.huggingface_added import read_added
from data_pipelines.tokenizers.huggingface_byte_bpe import load_byte_bpe
from data_pipelines.tokenizers.huggingface_files import (
  check_special_names,
  list_tokens,
  read_contents,
  read_object,
  read_settings,
)
from data_pipelines.tokenizers.huggingface_keys import check_keys
from data_pipelines.tokenizers.huggingface_metaspace import (
  is_metaspace,
  load_metaspace,
)
from data_pipelines.tokenizers.huggingface_names import (
  CONFIG_FILE,
  TOKENIZER_FILE,
)
from data_pipelines.tokenizers.huggingface_sentencepiece import (
  load_sentencepiece,
)
from data_pipelines.tokenizers.huggingface_template import (
  other_frame,
  read_template,
)
from data_pipelines.tokenizers.sentencepiece_model import MODEL_FILE
from data_pipelines.tokenizers.special_tokens import SPECIALS
from data_pipelines.tokenizers.tokenizer import Tokenizer
from data_pipelines.tokenizers.wordpiece import (
  VOCAB_FILE,
  WordPiece,
  looks_lowercase,
  read_vocab,
)
from data_pipelines.tokenizers.wordpiece_rules import FORMS, Rules

# Files of tokenizers, in the order in which they are looked for.
FILES = (VOCAB_FILE, MODEL_FILE, TOKENIZER_FILE, VOCAB_JSON, FAIRSEQ_FILE)
# Files that tell a folder of transformers from one of google-research/bert, and
# the longest word that transformers splits if nothing else is said.
_THEIR_FILES = (CONFIG_FILE, "config.json")
_THEIR_LIMIT = 100
_FORMS = {form.__name__: name for name, form in FORMS.items()}


def load_huggingface(
  folder: str | os.PathLike[str], *, drop_added: bool = False
) -> Tokenizer:
  """Read a folder with the files of a tokenizer.

  Every key of its JSON files is honored, or without effect, or refused: see
  `huggingface_keys`. The longest word that is split into tokens has as many
  characters as tokenizer.json says; without one, 100 as in transformers if
  there is a tokenizer_config.json or config.json, else 200 as in
  google-research/bert.

  Args:
    folder: has the files.
    drop_added: whether to leave out tokens that were added to the vocabulary:
      where a text has one, it is cut like any other word.

  Raises:
    ValueError: there is no tokenizer, a special token is missing, the files
      contradict each other, or they ask for something that is not done here.
  """
  root = pathlib.Path(folder)
  for name in FILES:
    if (root / name).is_file():
      return load_file(root / name, drop_added=drop_added)
  raise ValueError(
    f"{root} has no tokenizer; give {VOCAB_FILE}, {TOKENIZER_FILE}, "
    f"{MODEL_FILE}, or {VOCAB_JSON} and {MERGES_FILE} beside the weights"
  )


def load_file(path: pathlib.Path, *, drop_added: bool = False) -> Tokenizer:
  """Read a vocabulary or a model, and the JSON files beside it.

  Raises:
    ValueError: as `load_huggingface`.
  """
  check_file(path)
  if path.name == FAIRSEQ_FILE:
    return load_metaspace(path, drop_added=drop_added)
  if path.suffix == ".model":
    return load_sentencepiece(path, drop_added=drop_added)
  if path.suffix == ".json":
    content = read_object(path)
    check_content(path, content)
    if is_metaspace(content):
      return load_metaspace(path, drop_added=drop_added)
    kind = (content.get("model") or {}).get("type")
    if path.name == VOCAB_JSON or kind == "BPE":
      return load_byte_bpe(path, drop_added=drop_added)
  return load_wordpiece(path, drop_added=drop_added)


def load_wordpiece(
  path: pathlib.Path, *, drop_added: bool = False
) -> WordPiece:
  """Read a WordPiece vocabulary, and the JSON files beside it.

  Args:
    path: a vocab.txt, a tokenizer.json, or a vocabulary of another name, for
      which a tokenizer.json beside it does not count.
    drop_added: as `load_huggingface`.

  Raises:
    ValueError: as `load_huggingface`.
  """
  root, file = path.parent, path.with_name(TOKENIZER_FILE)
  settings = read_settings(root)
  model = read_object(file) if path.name in (VOCAB_FILE, TOKENIZER_FILE) else {}
  if not model:
    tokens = read_vocab(path)
  else:
    tokens = _tokens(model, file)
    vocabulary = path.with_name(VOCAB_FILE)
    if vocabulary.is_file() and read_vocab(vocabulary) != tokens:
      raise ValueError(
        f"{vocabulary} and {file.name} have different tokens; remove the wrong "
        "file"
      )
  rules = _rules(settings, _normalizer(model, file), root, tokens)
  contents = {**read_contents(root), TOKENIZER_FILE: model}
  added = (
    [] if drop_added else read_added(contents, tokens, SPECIALS, str(root))
  )
  tokenizer = WordPiece(tokens, rules=rules, added=added, origin=str(path))
  check_special_names(tokenizer, root)
  _check_frame(model.get("post_processor"), tokenizer, file)
  return tokenizer


def _tokens(model: Mapping[str, Any], path: pathlib.Path) -> list[str]:
  """Return the tokens by id of a tokenizer.json that is BERT's WordPiece."""
  check_keys(TOKENIZER_FILE, model, str(path))
  for part in ("model", "pre_tokenizer"):
    # An absent type is refused, too.
    values = {"type": "None", **(model.get(part) or {})}
    check_keys(part, values, str(path))
  for part in ("truncation", "padding"):
    check_keys(part, model.get(part) or {}, str(path))
  return list_tokens(model["model"].get("vocab"), str(path))


def _normalizer(model: Mapping[str, Any], path: pathlib.Path) -> dict[str, Any]:
  """Return BertNormalizer's values, the form before it, and the limit."""
  if not model:
    return {}
  bert: Any = model.get("normalizer") or {}
  form = None
  if bert.get("type") == "Sequence" and len(bert["normalizers"]) == 2:
    first, last = bert["normalizers"]
    if first.get("type") in _FORMS:
      form, bert = _FORMS[first["type"]], last
  check_keys("normalizer", {"type": "None", **bert}, str(path))
  limit = model["model"].get(keys.LIMIT)
  return {**bert, keys.NORMALIZATION: form or "none", keys.LIMIT: limit}


def _rules(
  settings: Mapping[str, Any],
  normalizer: Mapping[str, Any],
  root: pathlib.Path,
  tokens: list[str],
) -> Rules:
  """Return the rules that the two files agree on."""
  found: dict[str, Any] = {}
  others = (
    (keys.NORMALIZATION, keys.NORMALIZATION, "normalization"),
    (keys.LIMIT, keys.LIMIT, "max_word"),
  )
  for left, right, rule in (*keys.RULES, *others):
    # What tokenizer_config.json leaves out is what tokenizer.json says.
    said = {repr(v): v for v in (settings.get(left), normalizer.get(right))}
    said.pop(repr(None), None)
    if len(said) > 1:
      raise ValueError(
        f"{root}: {CONFIG_FILE} says {left}={settings[left]} and "
        f"{TOKENIZER_FILE} {right}={normalizer[right]}; make them agree"
      )
    for value in said.values():
      _check_value(left, value, root)
      found[rule] = value
  found.setdefault("lowercase", looks_lowercase(tokens))
  if normalizer or any((root / name).is_file() for name in _THEIR_FILES):
    found.setdefault("max_word", _THEIR_LIMIT)
  return Rules(**found)


def _check_value(key: str, value: Any, root: pathlib.Path) -> None:
  if key == keys.LIMIT:
    if type(value) is not int or value < 1:
      raise ValueError(
        f"{root} says {key}={value!r}; give a number of characters, as "
        f"{_THEIR_LIMIT}"
      )
    return
  allowed = ("none", *FORMS) if key == keys.NORMALIZATION else (True, False)
  if not isinstance(value, type(allowed[0])) or value not in allowed:
    raise ValueError(
      f"{root}: {CONFIG_FILE} says {key}={value!r}; give "
      f"{' or '.join(map(str, allowed))}"
    )


def _check_frame(
  processor: Any, tokenizer: Tokenizer, path: pathlib.Path
) -> None:
  """Refuse other special tokens around texts than [CLS] A [SEP] B [SEP]."""
  if processor is None:
    return
  ids = {token: id_ for id_, token in enumerate(tokenizer.tokens)}
  if read_template(processor, ids) != tokenizer.template:
    wrong = other_frame(processor, tokenizer.tokens, tokenizer.special_ids)
    raise ValueError(f"{path}: {wrong}; correct or remove it")
