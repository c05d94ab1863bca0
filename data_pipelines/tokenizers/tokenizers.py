# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Load a tokenizer, or learn one of the known kinds."""

import os
import pathlib
from collections.abc import Iterable

from data_pipelines.tokenizers.byte_bpe import MERGES_FILE, VOCAB_JSON
from data_pipelines.tokenizers.huggingface_import import FILES, load_file
from data_pipelines.tokenizers.huggingface_names import TOKENIZER_FILE
from data_pipelines.tokenizers.kinds import KINDS, Asked
from data_pipelines.tokenizers.sentencepiece_model import MODEL_FILE
from data_pipelines.tokenizers.tokenizer import Tokenizer
from data_pipelines.tokenizers.wordpiece import VOCAB_FILE
from data_pipelines.tokenizers.wordpiece_rules import FORMS

# Characters of text to learn from, by kind.
SAMPLE_CHARACTERS = {name: kind.sample for name, kind in KINDS.items()}


def load(path: str | os.PathLike[str]) -> Tokenizer:
  """Read a tokenizer.

  Args:
    path: a vocab.txt, a tokenizer.json, a .model file of SentencePiece, a
      vocab.json beside a merges.txt, a folder that has one, or a store or a
      bundle, which have a folder `tokenizer`. The files beside it count, too:
      see `load_huggingface`.

  Raises:
    ValueError: no tokenizer is found, it lacks a special token, or the files
      ask for something that is not done here.
  """
  given = pathlib.Path(path).expanduser()
  file = find_vocabulary(given)
  if file is None:
    what = "holds no" if given.is_dir() else "is no"
    if not given.exists():
      what = "does not exist; give a folder with"
    raise ValueError(
      f"tokenizer {given} {what} {VOCAB_FILE} or {MODEL_FILE} or "
      f"{TOKENIZER_FILE}, or {VOCAB_JSON} and {MERGES_FILE}"
    )
  return load_file(file)


def find_vocabulary(path: pathlib.Path) -> pathlib.Path | None:
  """Return the file that `load` reads for a path; None if there is none."""
  if path.name == MERGES_FILE and path.is_file():
    # A part of a tokenizer: whichever file has the rest.
    beside = [path.with_name(name) for name in (VOCAB_JSON, TOKENIZER_FILE)]
    return next((file for file in beside if file.is_file()), None)
  if path.is_file():
    known = path.suffix in (".txt", ".model") or path.name in FILES
    return path if known else None
  for folder in (path, path / "tokenizer"):
    for name in FILES:
      if (folder / name).is_file():
        return folder / name
  return None


def train(
  texts: Iterable[str],
  kind: str,
  vocab_size: int,
  *,
  lowercase: bool = True,
  strip_accents: bool | None = None,
  normalization: str = "",
) -> Tokenizer:
  """Learn a tokenizer; equal texts in an equal order give an equal tokenizer.

  Args:
    texts: documents to learn from; read once.
    kind: one of `KINDS`.
    vocab_size: number of tokens, special tokens included. A vocabulary that is
      not SentencePiece's is smaller if no pair of tokens occurs twice any more.
    lowercase: whether to fold case; without effect if the kind never does.
    strip_accents: whether to remove accents; None does as `Kind.accents` says.
    normalization: Unicode form of the text: "nfc", "nfkc" or "none"; "" is
      `Kind.normalization`.

  Raises:
    ValueError: an unknown kind, rules that the kind does not have, or a
      `vocab_size` that does not fit the text.
  """
  check_rules(
    kind,
    lowercase=lowercase,
    strip_accents=strip_accents,
    normalization=normalization,
  )
  own = KINDS[kind]
  form = normalization or own.normalization
  return own.learn(texts, vocab_size, Asked(lowercase, strip_accents, form))


def check_rules(
  kind: str, *, lowercase: bool, strip_accents: bool | None, normalization: str
) -> None:
  """Refuse rules that a kind of tokenizer cannot learn with.

  Raises:
    ValueError: names the kind and the rule.
  """
  if kind not in KINDS:
    raise ValueError(f"tokenizer={kind!r}; choose from {', '.join(KINDS)}")
  if normalization not in ("", "none", *FORMS):
    raise ValueError(
      f"normalization={normalization!r}; choose from none, {', '.join(FORMS)}"
    )
  own = KINDS[kind]
  if own.accents == "never" and strip_accents is not None:
    raise ValueError(
      f"strip_accents={strip_accents} with {kind}, which never removes "
      "accents; leave it out"
    )
  allowed = own.forms if lowercase else (*own.forms, *own.cased_forms)
  if normalization not in ("", *allowed):
    more = "".join(f", or {form} with --cased" for form in own.cased_forms)
    fix = "give one of these" if more else "leave it out"
    raise ValueError(
      f"normalization={normalization} with {kind}, which has "
      f"{' or '.join(own.forms)}{more}; {fix}"
    )
