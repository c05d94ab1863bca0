# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The special tokens that files of transformers name, and where they stand.

special_tokens_map.json and tokenizer_config.json name them. Where they do not,
they have the names that the published models give them.
"""

import pathlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple, cast

from data_pipelines.tokenizers.added_tokens import AddedToken, all_tokens
from data_pipelines.tokenizers.huggingface_added import (
  describe_added,
  read_added,
)
from data_pipelines.tokenizers.huggingface_names import (
  CONFIG_FILE,
  SPECIALS_FILE,
  TOKENIZER_FILE,
)
from data_pipelines.tokenizers.huggingface_template import read_template
from data_pipelines.tokenizers.kinds import BYTE_LEVEL
from data_pipelines.tokenizers.special_tokens import SPECIALS
from data_pipelines.tokenizers.template import Template

Contents = Mapping[str, Mapping[str, Any]]
Names = tuple[str, str, str, str, str]
_ROLES = ("pad", "unk", "cls", "sep", "mask")
# RoBERTa's names, BERT's, and for the ends of texts ALBERT's and Gemma's.
_USUAL = (
  ("<pad>", SPECIALS[0]),
  ("<unk>", SPECIALS[1]),
  ("<s>", SPECIALS[2], "<cls>", "<bos>"),
  ("</s>", SPECIALS[3], "<sep>", "<eos>"),
  ("<mask>", SPECIALS[4]),
)


class Named(NamedTuple):
  """Tokens that a folder says more of than their text.

  Attributes:
    tokens: text of each token by id, those beside the vocabulary included.
    specials: the special tokens pad, unk, cls, sep and mask, in this order.
    template: the special tokens around texts.
    added: tokens that were added to the vocabulary, by id.
  """

  tokens: tuple[str, ...]
  specials: Names
  template: Template
  added: tuple[AddedToken, ...]


def read_named(
  contents: Contents,
  words: Sequence[str],
  path: pathlib.Path,
  *,
  drop_added: bool = False,
) -> Named:
  """Read special and added tokens, which may be beside the vocabulary.

  Args:
    contents: name of a file → its content.
    words: the vocabulary, by id.
    path: the file that has it.
    drop_added: whether to leave out added tokens.

  Raises:
    ValueError: a special token is missing, or ids have gaps.
  """
  root, origin = str(path.parent), str(path)
  described = _describe(contents, root)
  specials = find_specials({*words, *described}, contents, origin)
  added = [] if drop_added else read_added(contents, words, specials, root)
  known = set(words)
  beside = [described[n] for n in dict.fromkeys(specials) if n not in known]
  tokens = all_tokens(words, [*beside, *added], origin)
  ids = {token: id_ for id_, token in enumerate(tokens)}
  return Named(
    tuple(tokens),
    specials,
    read_frame(contents[TOKENIZER_FILE], ids, specials, origin),
    tuple(sorted(added, key=lambda token: token.id)),
  )


def _describe(contents: Contents, origin: str) -> dict[str, AddedToken]:
  """Return all tokens that a file describes, as special ones, by name."""
  found: dict[str, AddedToken] = {}
  for _, token in describe_added(contents, origin):
    special = AddedToken(
      token.id, token.content, special=True, normalized=False
    )
    found.setdefault(token.content, special)
  return found


def find_specials(
  known: Collection[str], contents: Contents, origin: str
) -> Names:
  """Return the names of the special tokens pad, unk, cls, sep and mask.

  Args:
    known: all tokens.
    contents: name of a file → its content.
    origin: where the tokens come from, for messages.

  Raises:
    ValueError: one is missing, or two files name it differently.
  """
  found: list[str] = []
  missing: list[str] = []
  for role, usual in zip(_ROLES, _USUAL, strict=True):
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
      missing.append(" or ".join(sorted(named) or usual[:2]))
  if missing:
    raise ValueError(
      f"{origin} has no {', '.join(missing)}; add what is missing in "
      "transformers (tokenizer.add_special_tokens), or learn a tokenizer with "
      f"{' or '.join(f'--tokenizer={kind}' for kind in BYTE_LEVEL)}"
    )
  return cast("Names", tuple(found))


def read_frame(
  content: Mapping[str, Any],
  ids: Mapping[str, int],
  specials: Sequence[str],
  origin: str,
) -> Template:
  """Return the special tokens around texts.

  Args:
    content: of a tokenizer.json, maybe without a post_processor. Then the
      template is RoBERTa's if the first token has its name, else BERT's.
    ids: the id of each token.
    specials: as `find_specials` returns them.
    origin: the file, for messages.

  Raises:
    ValueError: no template does what the post_processor does.
  """
  cls, sep = specials[2:4]
  processor = content.get("post_processor")
  if processor is None:
    make = Template.doubled if cls == _USUAL[2][0] else Template.of_bert
    return make(ids[cls], ids[sep])
  found = read_template(processor, ids)
  if found is None:
    raise ValueError(
      f"{origin}: its post_processor {processor.get('type')} does not put "
      f"tokens of the vocabulary before, between and behind texts, as {cls} A "
      f"{sep} {sep} B {sep}, with type 0 up to B and one type from there; "
      "correct or remove it"
    )
  return found


def mask_takes_space(contents: Contents, mask: str, *, usual: bool) -> bool:
  """Return whether the space before a mask in a text is its own.

  Args:
    contents: name of a file → its content.
    mask: the mask token.
    usual: what counts where no file says it.
  """
  return bool(_mask_entry(contents, mask).get("lstrip", usual))


def _mask_entry(contents: Contents, mask: str) -> Mapping[str, Any]:
  for values in contents[TOKENIZER_FILE].get("added_tokens") or ():
    if values.get("content") == mask:
      return values
  for file in (CONFIG_FILE, SPECIALS_FILE):
    values = contents[file].get("mask_token")
    if isinstance(values, Mapping):
      return values
  return {}


def _content(value: Any) -> str | None:
  return value.get("content") if isinstance(value, Mapping) else value
