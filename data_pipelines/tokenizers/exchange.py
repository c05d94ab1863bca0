# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The tokenizer of a Hugging Face folder, where ours gives the same ids."""

import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from data_pipelines.tokenizers.pieces import (
  CONFIG_FILE,
  SPECIALS,
  TOKENIZER_FILE,
  Tokenizer,
)
from data_pipelines.tokenizers.sentencepiece_model import MODEL_FILE
from data_pipelines.tokenizers.tokenizers import load
from data_pipelines.tokenizers.wordpiece import (
  VOCAB_FILE,
  WordPiece,
  looks_lowercase,
  read_pieces,
)

# As transformers before 5 wrote what was added to a vocabulary.
ADDED_FILE = "added_tokens.json"
# What tokenizer_config.json and tokenizer.json call the same rule.
_RULES = (
  ("do_lower_case", "lowercase"),
  ("strip_accents", "strip_accents"),
  ("tokenize_chinese_chars", "handle_chinese_chars"),
  ("clean_text", "clean_text"),
)


def load_exchange(folder: str | os.PathLike[str]) -> Tokenizer:
  """Read vocab.txt or tokenizer.json, and what tokenizer_config.json adds.

  A word of 101 to 200 characters, one unknown piece in transformers, is cut
  into pieces here as Google's tokenizer does.

  Raises:
    ValueError: there is none, a special piece is missing, the files differ,
      or they have pieces or rules that ours do not have.
  """
  root = pathlib.Path(folder)
  vocabulary, exchange = root / VOCAB_FILE, root / TOKENIZER_FILE
  if (root / MODEL_FILE).is_file():
    return load(root / MODEL_FILE)
  settings, model = _read(root / CONFIG_FILE), _read(exchange)
  if model:
    pieces = _pieces(model, exchange)
    if vocabulary.is_file() and read_pieces(vocabulary) != pieces:
      raise ValueError(f"{vocabulary} and {exchange.name} have other pieces")
  elif vocabulary.is_file():
    pieces = read_pieces(vocabulary)
  else:
    raise ValueError(
      f"{root} has no tokenizer; give {VOCAB_FILE}, {TOKENIZER_FILE} or "
      f"{MODEL_FILE} beside the weights"
    )
  _check_added(model, root)
  _check_specials(pieces, root)
  rules = _rules(settings, model.get("normalizer") or {}, root)
  if rules["lowercase"] is None:
    rules["lowercase"] = looks_lowercase(pieces)
  _check_rules(rules, root)
  return WordPiece(pieces, lowercase=rules["lowercase"], origin=str(root))


def _read(path: pathlib.Path) -> dict[str, Any]:
  """The object in a file, empty where there is no file."""
  if not path.is_file():
    return {}
  try:
    value = json.loads(path.read_text(encoding="utf-8"))
  except ValueError:
    value = None
  if not isinstance(value, dict):
    raise ValueError(f"{path} holds no JSON object; mend or remove it")
  return value


def _pieces(exchange: Mapping[str, Any], path: pathlib.Path) -> list[str]:
  """Pieces by id, of a tokenizer.json that is BERT's WordPiece."""
  parts = {
    part: exchange.get(part) or {}
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
      raise ValueError(f"{path}: {part} {key} is {theirs}; only {ours} is read")
  ids = parts["model"].get("vocab")
  if not isinstance(ids, dict) or set(map(repr, ids.values())) != set(
    map(repr, range(len(ids)))
  ):
    raise ValueError(f"{path}: its pieces do not have the ids from 0 on")
  return sorted(ids, key=ids.__getitem__)


def _check_added(exchange: Mapping[str, Any], root: pathlib.Path) -> None:
  """Refuse pieces that are looked for before words are cut; ours are not."""
  listed = exchange.get("added_tokens") or ()
  added = {str(dict(token).get("content")) for token in listed}
  added |= _read(root / ADDED_FILE).keys()
  others = sorted(added - set(SPECIALS))
  if others:
    raise ValueError(
      f"the tokenizer of {root} looks for {' '.join(others)} before it cuts "
      "words, which cannot be read; take them out of its added tokens"
    )


def _check_specials(pieces: Sequence[str], root: pathlib.Path) -> None:
  known = set(pieces)
  missing = [name for name in SPECIALS if name not in known]
  if missing:
    raise ValueError(
      f"the tokenizer of {root} has no {' '.join(missing)}; a vocabulary "
      f"needs {' '.join(SPECIALS)}"
    )


def _rules(
  settings: Mapping[str, Any], normalizer: Mapping[str, Any], root: pathlib.Path
) -> dict[str, bool | None]:
  """What both files say, or the one that says something."""
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
  # Accents go where case goes, as in Google's BasicTokenizer.
  wanted = {
    "strip_accents": rules["lowercase"],
    "handle_chinese_chars": True,
    "clean_text": True,
  }
  for name, ours in wanted.items():
    if rules[name] not in (None, ours):
      raise ValueError(
        f"the tokenizer of {root} has {name}={rules[name]}; with "
        f"lowercase={rules['lowercase']} only {ours} can be read"
      )
