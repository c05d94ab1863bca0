# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Special tokens of BERT vocabularies."""

import re
from collections.abc import Sequence

# A new vocabulary starts with these, in this order.
PAD, UNK, CLS, SEP, MASK = SPECIALS = (
  "[PAD]",
  "[UNK]",
  "[CLS]",
  "[SEP]",
  "[MASK]",
)
# Published vocabularies reserve ids with these names for their users.
_UNUSED = re.compile(r"\[unused\d+\]|<unused\d+>")


def is_unused(token: str) -> bool:
  """Return whether the token only reserves an id, as "[unused7]".

  Gemma's have angle brackets.
  """
  return bool(_UNUSED.fullmatch(token))


def find_special_ids(
  tokens: Sequence[str], names: Sequence[Sequence[str]], origin: str
) -> list[int]:
  """Return the ids of the special tokens.

  Args:
    tokens: the vocabulary, by id.
    names: the names under which each of `SPECIALS` may be found.
    origin: where the vocabulary comes from, for messages.

  Raises:
    ValueError: a special token is missing.
  """
  ids = {token: id_ for id_, token in enumerate(tokens)}
  found = [[ids[n] for n in choices if n in ids] for choices in names]
  missing = [
    " or ".join(choices)
    for choices, known in zip(names, found, strict=True)
    if not known
  ]
  if missing:
    raise ValueError(
      f"{origin} has no {', '.join(missing)}; a vocabulary needs "
      f"{' '.join(SPECIALS)}: add what is missing, or learn a tokenizer with "
      "launch.prepare --tokenizer=wordpiece"
    )
  return [known[0] for known in found]
