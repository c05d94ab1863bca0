# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Write YAML that readers in Go and in Python parse to the same values."""

import re
from typing import Any

import yaml

# Go's parsers read more words as numbers and booleans than PyYAML quotes: 1e5,
# 0o17, y. Quote everything that does not begin like a word, and single letters.
_PLAIN = re.compile(r"[A-Za-z][^\n]+")


class Inline(list[Any]):
  """A list that is written on as few lines as possible."""


class _Dumper(yaml.SafeDumper):
  """Quotes as `_PLAIN` asks, writes no references, and indents lists."""

  def ignore_aliases(self, data: Any) -> bool:
    return True

  def increase_indent(
    self, flow: bool = False, indentless: bool = False
  ) -> None:
    super().increase_indent(flow, False)


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
  style = "|" if "\n" in text else None if _PLAIN.fullmatch(text) else '"'
  return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _inline(dumper: yaml.SafeDumper, items: Inline) -> yaml.SequenceNode:
  return dumper.represent_sequence(
    "tag:yaml.org,2002:seq", items, flow_style=True
  )


_Dumper.add_representer(str, _text)
_Dumper.add_representer(Inline, _inline)


def write(document: dict[str, Any]) -> str:
  """Return `document` as YAML, with its keys in their order."""
  return yaml.dump(
    document,
    Dumper=_Dumper,
    sort_keys=False,
    allow_unicode=True,
    default_flow_style=False,
    width=76,
  )
