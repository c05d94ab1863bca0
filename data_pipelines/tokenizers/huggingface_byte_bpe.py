# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Read byte-level BPE tokenizers that Hugging Face transformers has written.

The tokenizer is a tokenizer.json, or vocab.json and merges.txt, which say the
same of RoBERTa's. Their special tokens have the names that
special_tokens_map.json, tokenizer_config.json or the families give them.
"""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, cast

from data_pipelines.tokenizers import huggingface_keys as keys
from data_pipelines.tokenizers.added_tokens import AddedToken, all_tokens
from data_pipelines.tokenizers.byte_bpe import (
  MERGES_FILE,
  VOCAB_JSON,
  ByteBPE,
  BytePairs,
)
from data_pipelines.tokenizers.huggingface_added import (
  describe_added,
  read_added,
)
from data_pipelines.tokenizers.huggingface_files import (
  list_tokens,
  read_contents,
  read_object,
)
from data_pipelines.tokenizers.huggingface_keys import (
  CONFIG_FILE,
  SPECIALS_FILE,
  TOKENIZER_FILE,
)
from data_pipelines.tokenizers.huggingface_template import read_template
from data_pipelines.tokenizers.special_tokens import SPECIALS
from data_pipelines.tokenizers.template import Template

_ROLES = ("pad", "unk", "cls", "sep", "mask")
_NAMES = (
  ("<pad>", SPECIALS[0]),
  ("<unk>", SPECIALS[1]),
  ("<s>", SPECIALS[2]),
  ("</s>", SPECIALS[3]),
  ("<mask>", SPECIALS[4]),
)
Contents = Mapping[str, Mapping[str, Any]]


def is_byte_bpe(path: pathlib.Path) -> bool:
  """Return whether a file is of a BPE tokenizer."""
  if path.name == VOCAB_JSON:
    return True
  if path.name != TOKENIZER_FILE:
    return False
  model = read_object(path).get("model")
  return isinstance(model, Mapping) and model.get("type") == "BPE"


def load_byte_bpe(path: pathlib.Path, *, drop_added: bool = False) -> ByteBPE:
  """Read a byte-level BPE tokenizer, and the JSON files beside it.

  Args:
    path: a tokenizer.json, or a vocab.json beside a merges.txt.
    drop_added: whether to leave out tokens that were added to the vocabulary:
      where a text has one, it is cut like any other word. Their ids stay.

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
  described = _described(contents, str(root))
  specials = _find_specials({*words, *described}, contents, origin)
  added = read_added(contents, words, specials, str(root))
  beside = [described[n] for n in specials if n not in ids]
  tokens = all_tokens(words, [*beside, *added], origin)
  numbers = {token: id_ for id_, token in enumerate(tokens)}
  template = _read_frame(contents[TOKENIZER_FILE], numbers, specials, origin)
  mask = _mask_entry(contents, specials[4])
  return ByteBPE(
    BytePairs(
      tokens=tuple(tokens),
      merges=tuple(merges),
      specials=cast("tuple[str, str, str, str, str]", tuple(specials)),
      is_roberta=template.second_type == 0,
      normalization=_form(contents[TOKENIZER_FILE]),
      prefix_space=_prefix_space(contents, root),
      mask_takes_space=mask.get("lstrip", True),
      added=() if drop_added else tuple(sorted(added, key=lambda t: t.id)),
    ),
    origin=origin,
  )


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
  return model.get("vocab"), _pairs(model.get("merges") or (), origin)


def _read_merges(path: pathlib.Path) -> list[tuple[str, str]]:
  if not path.is_file():
    raise ValueError(
      f"{path.parent} has {VOCAB_JSON} without {MERGES_FILE}; give both, or a "
      f"{TOKENIZER_FILE}"
    )
  lines = path.read_text(encoding="utf-8").split("\n")
  found = [line.removesuffix("\r") for line in lines]
  start = 1 if found[0].startswith("#version") else 0
  return _pairs([line for line in found[start:] if line], str(path))


def _pairs(
  merges: Sequence[str | Sequence[str]], origin: str
) -> list[tuple[str, str]]:
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


def _described(contents: Contents, origin: str) -> dict[str, AddedToken]:
  """Return all tokens that a file describes beside the vocabulary."""
  found: dict[str, AddedToken] = {}
  for _, token in describe_added(contents, origin):
    special = AddedToken(token.id, token.content, special=True)
    found.setdefault(token.content, special)
  return found


def _content(value: Any) -> str | None:
  return value.get("content") if isinstance(value, Mapping) else value


def _find_specials(
  known: set[str], contents: Contents, origin: str
) -> list[str]:
  """Return the names of the special tokens, in the order of `_ROLES`."""
  found: list[str] = []
  missing: list[str] = []
  for role, usual in zip(_ROLES, _NAMES, strict=True):
    key = f"{role}_token"
    named = {
      name
      for file in (SPECIALS_FILE, CONFIG_FILE)
      if (name := _content(contents[file].get(key)))
    }
    if len(named) > 1:
      raise ValueError(
        f"{origin}: {SPECIALS_FILE} and {CONFIG_FILE} name {key} as "
        f"{' and '.join(sorted(named))}; make them agree"
      )
    here = [name for name in (named or usual) if name in known]
    found += here[:1]
    if not here:
      missing.append(" or ".join(sorted(named) or usual))
  if missing:
    raise ValueError(
      f"{origin} has no {', '.join(missing)}; add what is missing in "
      "transformers (tokenizer.add_special_tokens), or learn a tokenizer with "
      "--tokenizer=roberta or --tokenizer=modernbert"
    )
  return found


def _read_frame(
  content: Mapping[str, Any],
  ids: Mapping[str, int],
  specials: Sequence[str],
  origin: str,
) -> Template:
  """Return the special tokens around texts: RoBERTa's or BERT's."""
  cls, sep = specials[2:4]
  known = (
    Template.of_roberta(ids[cls], ids[sep]),
    Template.of_bert(ids[cls], ids[sep]),
  )
  processor = content.get("post_processor")
  if processor is None:
    return known[0] if cls == _NAMES[2][0] else known[1]
  found = read_template(processor, ids)
  if found not in known:
    raise ValueError(
      f"{origin}: its post_processor {processor.get('type')} makes neither "
      f"{cls} A {sep} B {sep} with types 0 and 1, nor {cls} A {sep} {sep} B "
      f"{sep} with type 0; correct or remove it"
    )
  return cast("Template", found)


def _mask_entry(contents: Contents, mask: str) -> Mapping[str, Any]:
  """Return what the files say about the mask token."""
  for values in contents[TOKENIZER_FILE].get("added_tokens") or ():
    if values.get("content") == mask:
      return values
  for file in (CONFIG_FILE, SPECIALS_FILE):
    values = contents[file].get("mask_token")
    if isinstance(values, Mapping):
      return values
  return {}


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
