# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Read tokenizers that Hugging Face transformers has written."""

import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from data_pipelines.tokenizers.huggingface_export import (
  CONFIG_FILE,
  TOKENIZER_FILE,
)
from data_pipelines.tokenizers.sentencepiece_model import MODEL_FILE
from data_pipelines.tokenizers.special_tokens import SPECIALS
from data_pipelines.tokenizers.tokenizer import Tokenizer
from data_pipelines.tokenizers.tokenizers import load
from data_pipelines.tokenizers.wordpiece import (
  VOCAB_FILE,
  WordPiece,
  looks_lowercase,
  read_vocab,
)

# Tokens that were added to a vocabulary, as transformers before 5 wrote them.
ADDED_FILE = "added_tokens.json"
# Names of the same rule in tokenizer_config.json and in tokenizer.json.
_RULES = (
  ("do_lower_case", "lowercase"),
  ("strip_accents", "strip_accents"),
  ("tokenize_chinese_chars", "handle_chinese_chars"),
  ("clean_text", "clean_text"),
)


def load_huggingface(folder: str | os.PathLike[str]) -> Tokenizer:
  """Read a folder with vocab.txt, tokenizer.json or spiece.model.

  The rules come from tokenizer_config.json and tokenizer.json. A word of 101
  to 200 characters is split into tokens, as Google's tokenizer does, while
  transformers makes it one unknown token.

  Raises:
    ValueError: there is no tokenizer, a special token is missing, the files
      contradict each other, or `WordPiece` cannot give the same ids.
  """
  root = pathlib.Path(folder)
  vocabulary, file = root / VOCAB_FILE, root / TOKENIZER_FILE
  if (root / MODEL_FILE).is_file():
    return load(root / MODEL_FILE)
  settings, model = _read(root / CONFIG_FILE), _read(file)
  if model:
    tokens = _tokens(model, file)
    if vocabulary.is_file() and read_vocab(vocabulary) != tokens:
      raise ValueError(
        f"{vocabulary} and {file.name} have different tokens; remove the wrong "
        "file"
      )
  elif vocabulary.is_file():
    tokens = read_vocab(vocabulary)
  else:
    raise ValueError(
      f"{root} has no tokenizer; give {VOCAB_FILE}, {TOKENIZER_FILE} or "
      f"{MODEL_FILE} beside the weights"
    )
  _check_added(model, root)
  rules = _rules(settings, model.get("normalizer") or {}, root)
  if rules["lowercase"] is None:
    rules["lowercase"] = looks_lowercase(tokens)
  _check_rules(rules, root)
  return WordPiece(tokens, lowercase=rules["lowercase"], origin=str(root))


def _read(path: pathlib.Path) -> dict[str, Any]:
  """Return the JSON object in a file, empty if the file does not exist."""
  if not path.is_file():
    return {}
  try:
    value = json.loads(path.read_text(encoding="utf-8"))
  except ValueError:
    value = None
  if not isinstance(value, dict):
    raise ValueError(f"{path} is not a JSON object; correct or remove it")
  return value


def _tokens(model: Mapping[str, Any], path: pathlib.Path) -> list[str]:
  """Return the tokens by id of a tokenizer.json that is BERT's WordPiece."""
  parts = {
    part: model.get(part) or {}
    for part in ("model", "normalizer", "pre_tokenizer")
  }
  for part, key, ours in (
    ("model", "type", "WordPiece"),
    ("model", "continuing_subword_prefix", "##"),
    ("normalizer", "type", "BertNormalizer"),
    ("pre_tokenizer", "type", "BertPreTokenizer"),
  ):
    theirs = parts[part].get(key)
    if theirs != ours:
      raise ValueError(
        f"{path}: {part} {key} is {theirs}; only {ours} can be read"
      )
  ids = parts["model"].get("vocab")
  if not isinstance(ids, dict) or set(map(repr, ids.values())) != set(
    map(repr, range(len(ids)))
  ):
    raise ValueError(f"{path}: its tokens are not numbered 0, 1, 2, …")
  return sorted(ids, key=ids.__getitem__)


def _check_added(model: Mapping[str, Any], root: pathlib.Path) -> None:
  """Refuse added tokens: they are matched before words are split."""
  listed = model.get("added_tokens") or ()
  added = {str(dict(token).get("content")) for token in listed}
  added |= _read(root / ADDED_FILE).keys()
  others = sorted(added - set(SPECIALS))
  if others:
    raise ValueError(
      f"the tokenizer of {root} matches {' '.join(others)} before it splits "
      "words, which is not supported; remove them from its added tokens"
    )


def _rules(
  settings: Mapping[str, Any], normalizer: Mapping[str, Any], root: pathlib.Path
) -> dict[str, bool | None]:
  """Return the value of each rule, None where neither file has the rule."""
  rules = {}
  for left, right in _RULES:
    said = {settings.get(left), normalizer.get(right)} - {None}
    if len(said) > 1:
      raise ValueError(
        f"{root}: {CONFIG_FILE} says {left}={settings[left]} and "
        f"{TOKENIZER_FILE} {right}={normalizer[right]}; make them agree"
      )
    rules[right] = said.pop() if said else None
  return rules


def _check_rules(rules: Mapping[str, bool | None], root: pathlib.Path) -> None:
  # Folding case removes accents, as in Google's BasicTokenizer.
  wanted = {
    "strip_accents": rules["lowercase"],
    "handle_chinese_chars": True,
    "clean_text": True,
  }
  for name, ours in wanted.items():
    if rules[name] not in (None, ours):
      raise ValueError(
        f"the tokenizer of {root} has {name}={rules[name]}; with "
        f"lowercase={rules['lowercase']} only {ours} is supported"
      )
