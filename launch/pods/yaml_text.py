# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""YAML that every reader takes for what it was."""

import re
from typing import Any

import yaml

# Go's readers take more for numbers and truth values than PyYAML quotes:
# 1e5, 0o17, y. Quote whatever does not begin like a word, and single letters.
_PLAIN = re.compile(r"[A-Za-z][^\n]+")


class Inline(list[Any]):
  """A list to be written on one line, or as few as it takes."""


class _Dumper(yaml.SafeDumper):
  """Quotes with care, repeats rather than refer, indents lists."""

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
  """`document` as YAML, its keys in their order."""
  return yaml.dump(
    document,
    Dumper=_Dumper,
    sort_keys=False,
    allow_unicode=True,
    default_flow_style=False,
    width=76,
  )
