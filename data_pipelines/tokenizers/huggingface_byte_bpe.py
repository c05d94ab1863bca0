# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Read byte-level BPE tokenizers that Hugging Face transformers has written.

The tokenizer is a tokenizer.json, or vocab.json and merges.txt, which say the
same of RoBERTa's.
"""

import itertools
import pathlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from data_pipelines.tokenizers import huggingface_keys as keys
from data_pipelines.tokenizers.byte_bpe import (
  ALPHABET,
  MERGES_FILE,
  VOCAB_JSON,
  ByteBPE,
  BytePairs,
)
from data_pipelines.tokenizers.huggingface_files import (
  list_tokens,
  read_contents,
  read_object,
)
from data_pipelines.tokenizers.huggingface_names import (
  CONFIG_FILE,
  SPECIALS_FILE,
  TOKENIZER_FILE,
)
from data_pipelines.tokenizers.huggingface_specials import (
  Contents,
  mask_takes_space,
  read_named,
)


def load_byte_bpe(path: pathlib.Path, *, drop_added: bool = False) -> ByteBPE:
  """Read a byte-level BPE tokenizer, and the JSON files beside it.

  Args:
    path: a tokenizer.json, or a vocab.json beside a merges.txt.
    drop_added: whether to leave out tokens that were added to the vocabulary:
      where a text has one, it is cut like any other word. Their ids stay,
      as ids that nothing has.

  Raises:
    ValueError: a special token is missing, the files contradict each other, or
      they ask for something that is not done here.
  """
  root, origin = path.parent, str(path)
  contents: Contents = read_contents(root)
  if path.name == VOCAB_JSON:
    contents = {**contents, TOKENIZER_FILE: {}}
    ids, merges = read_object(path), _read_merges(root / MERGES_FILE)
  else:
    ids, merges = _read_model(contents[TOKENIZER_FILE], origin)
  words = list_tokens(ids, origin)
  keys.check_keys(
    keys.BYTE_CONFIG, contents[CONFIG_FILE], str(root / CONFIG_FILE)
  )
  keys.check_keys(
    SPECIALS_FILE, contents[SPECIALS_FILE], str(root / SPECIALS_FILE)
  )
  named = read_named(contents, words, path)
  dropped = [token.content for token in named.added] if drop_added else []
  return ByteBPE(
    BytePairs(
      tokens=_without(named.tokens, dropped, merges),
      merges=tuple(merges),
      specials=named.specials,
      template=named.template,
      normalization=_form(contents[TOKENIZER_FILE]),
      prefix_space=_prefix_space(contents, root),
      mask_takes_space=mask_takes_space(
        contents, named.specials[4], usual=True
      ),
      added=() if drop_added else named.added,
    ),
    origin=origin,
  )


def _without(
  tokens: Sequence[str],
  dropped: Collection[str],
  merges: Iterable[tuple[str, str]],
) -> tuple[str, ...]:
  """Return tokens in which others only reserve the ids of dropped ones.

  Dropped tokens that words are cut into stay.
  """
  made = ALPHABET.union(left + right for left, right in merges)
  gone = {token for token in dropped if token not in made}
  kept = {token for token in tokens if token not in gone}
  names = (f"[unused{n}]" for n in itertools.count())
  free = (name for name in names if name not in kept)
  return tuple(next(free) if token in gone else token for token in tokens)


def _read_model(
  content: Mapping[str, Any], origin: str
) -> tuple[Mapping[str, Any], list[tuple[str, str]]]:
  """Return the ids and the merges of a tokenizer.json."""
  keys.check_keys(TOKENIZER_FILE, content, origin)
  for part, name in (
    ("model", "BPE model"),
    ("normalizer", "byte-level normalizer"),
    ("pre_tokenizer", "byte-level pre_tokenizer"),
  ):
    keys.check_keys(name, {"type": "None", **(content.get(part) or {})}, origin)
  for part in ("truncation", "padding"):
    keys.check_keys(part, content.get(part) or {}, origin)
  model = content["model"]
  return model.get("vocab"), split_merges(model.get("merges") or (), origin)


def _read_merges(path: pathlib.Path) -> list[tuple[str, str]]:
  if not path.is_file():
    raise ValueError(
      f"{path.parent} has {VOCAB_JSON} without {MERGES_FILE}; give both, or a "
      f"{TOKENIZER_FILE}"
    )
  lines = path.read_text(encoding="utf-8").split("\n")
  found = [line.removesuffix("\r") for line in lines]
  start = 1 if found[0].startswith("#version") else 0
  return split_merges([line for line in found[start:] if line], str(path))


def split_merges(
  merges: Sequence[str | Sequence[str]], origin: str
) -> list[tuple[str, str]]:
  """Return merges as pairs of tokens.

  Raises:
    ValueError: one is something else.
  """
  found: list[tuple[str, str]] = []
  for merge in merges:
    # Older files have one string with a space in it.
    left, *right = merge.split(" ") if isinstance(merge, str) else merge
    if len(right) != 1:
      raise ValueError(
        f"{origin}: the merge {merge!r} is not two tokens; correct or remove it"
      )
    found.append((left, right[0]))
  return found


def _form(content: Mapping[str, Any]) -> str:
  kind = (content.get("normalizer") or {}).get("type")
  return "none" if kind is None else kind.lower()


def _prefix_space(contents: Contents, root: pathlib.Path) -> bool:
  """Return whether a text gets a space, on which the two files agree."""
  said = {
    name: value
    for name, value in (
      (CONFIG_FILE, contents[CONFIG_FILE].get("add_prefix_space")),
      (
        TOKENIZER_FILE,
        (contents[TOKENIZER_FILE].get("pre_tokenizer") or {}).get(
          "add_prefix_space"
        ),
      ),
    )
    if value is not None
  }
  if len({*said.values()}) > 1:
    raise ValueError(
      f"{root}: {CONFIG_FILE} says add_prefix_space={said[CONFIG_FILE]} and "
      f"{TOKENIZER_FILE} {said[TOKENIZER_FILE]}; make them agree"
    )
  return bool(next(iter(said.values()), False))
