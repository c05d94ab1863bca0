# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The running Python's own prose, a corpus that needs no download.

Docstrings and comment blocks of the standard library, a document a module,
and the topics of `help()`. Sources are parsed; nothing is imported. The order
is by name, so that the same interpreter gives the same corpus.
"""

import ast
import functools
import inspect
import os
import pathlib
import re
import sysconfig
import tokenize
import warnings
from collections.abc import Iterator
from typing import NamedTuple

from data_pipelines.corpora.documents import Document

# Tests talk about values rather than about the language, and site-packages is
# what somebody happened to install.
_SKIPPED = frozenset(
  ("site-packages", "dist-packages", "test", "tests", "idle_test")
)
_TOPICS = "pydoc_data.topics"
_DEFINITIONS = (
  ast.Module,
  ast.ClassDef,
  ast.FunctionDef,
  ast.AsyncFunctionDef,
)
# Rulers, boxes and blank comment lines: no word in them.
_RULER = re.compile(r"[\W_]*")
# A comment or a string: by three quotes, or by one on one line. In bytes and
# raw strings, too, a backslash keeps the quote behind it from ending them.
_STRING_OR_COMMENT = re.compile(
  r"#[^\n]*"
  r'|"""(?:[^"\\]|\\.|"(?!""))*"""'
  r"|'''(?:[^'\\]|\\.|'(?!''))*'''"
  r'|"(?:[^"\\\n]|\\.)*"'
  r"|'(?:[^'\\\n]|\\.)*'",
  re.DOTALL,
)
_NOT_PROSE = re.compile(r"#!|#.*?coding[:=]|#\s*(?:type|pragma|noqa)\b")
# Fewer words than this is a label, or code that was commented out.
_COMMENT_WORDS = 3
_WORD = re.compile(r"[^\W\d_]{2,}")


class Docstring(NamedTuple):
  """One docstring and where it stands.

  Attributes:
    package: the first part of the module's name.
    module: dotted name of the module.
    name: qualified name inside the module, "" for the module's own.
    text: cleaned as `inspect.cleandoc` does.
  """

  package: str
  module: str
  name: str
  text: str


class _Passage(NamedTuple):
  line: int
  name: str | None  # None for a comment block
  text: str


@functools.cache
def docstrings() -> tuple[Docstring, ...]:
  """Every docstring of the standard library, by module and line."""
  return tuple(
    Docstring(module.partition(".")[0], module, passage.name, passage.text)
    for module, passages in _modules()
    for passage in passages
    if passage.name is not None
  )


def documents() -> Iterator[Document]:
  """One document a module, then one a topic of `help()`."""
  for module, passages in _modules():
    text = "\n\n".join(passage.text for passage in passages)
    yield Document(f"stdlib:{module}", text)
  for topic, text in sorted(_topics().items()):
    yield Document(f"stdlib:{_TOPICS}:{topic}", _without_rulers(text))


def _sources() -> list[tuple[str, pathlib.Path]]:
  root = pathlib.Path(sysconfig.get_path("stdlib"))
  found = []
  for folder, folders, names in os.walk(root):
    folders[:] = [name for name in folders if name not in _SKIPPED]
    for name in names:
      path = pathlib.Path(folder, name)
      if path.suffix == ".py":
        parts = path.relative_to(root).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        found.append((".".join(parts), path))
  return sorted(found)


# Seconds of parsing, and both the corpus and the task want it.
@functools.cache
def _modules() -> tuple[tuple[str, tuple[_Passage, ...]], ...]:
  modules = []
  for name, path in _sources():
    source = _read(path)
    tree = _parse(source)
    if tree is not None:
      passages = _docstrings(tree) + _comment_blocks(source)
      if passages:
        modules.append((name, tuple(sorted(passages))))
  return tuple(modules)


def _read(path: pathlib.Path) -> str:
  try:
    with tokenize.open(path) as file:
      return file.read()
  except (SyntaxError, UnicodeDecodeError):  # an encoding made to be wrong
    return ""


def _parse(source: str) -> ast.Module | None:
  with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # old escapes in somebody else's strings
    try:
      return ast.parse(source)
    except (SyntaxError, ValueError):  # a template, or Python 2 kept on purpose
      return None


def _docstrings(tree: ast.Module) -> list[_Passage]:
  found = []

  def visit(node: ast.AST, name: str) -> None:
    if isinstance(node, _DEFINITIONS):
      text = ast.get_docstring(node, clean=False)
      if text and (text := _without_rulers(inspect.cleandoc(text))):
        found.append(_Passage(node.body[0].lineno, name, text))
    for child in ast.iter_child_nodes(node):
      # Definitions stand among statements, never inside an expression.
      if isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case):
        inner = name
        if isinstance(child, _DEFINITIONS[1:]):
          inner = f"{name}.{child.name}" if name else child.name
        visit(child, inner)

  visit(tree, "")
  return found


def _comment_blocks(source: str) -> list[_Passage]:
  lines = source.split("\n")
  blocks: list[list[int]] = []
  for row in _comment_rows(source):
    if blocks and blocks[-1][-1] == row - 1:
      blocks[-1].append(row)
    else:
      blocks.append([row])
  passages = []
  for block in blocks:
    text = _block_text([lines[row - 1].strip() for row in block])
    if len(_WORD.findall(text)) >= _COMMENT_WORDS:
      passages.append(_Passage(block[0], None, text))
  return passages


def _block_text(comments: list[str]) -> str:
  prose = (line for line in comments if not _NOT_PROSE.match(line))
  stripped = [line.lstrip("#").rstrip() for line in prose]
  return _without_rulers(inspect.cleandoc("\n" + "\n".join(stripped)))


def _comment_rows(source: str) -> list[int]:
  """1-based rows that hold a comment and nothing else, in order.

  What `tokenize` finds, many times as fast: outside strings and comments a
  quote starts a string and a hash a comment, whatever else stands there.
  """
  rows, row, counted = [], 1, 0
  for match in _STRING_OR_COMMENT.finditer(source):
    start = match.start()
    if source[start] == "#":
      line = source.rfind("\n", 0, start) + 1
      if not source[line:start].strip():
        row += source.count("\n", counted, start)
        counted = start
        rows.append(row)
  return rows


def _topics() -> dict[str, str]:
  path = pathlib.Path(sysconfig.get_path("stdlib"), "pydoc_data", "topics.py")
  if not path.is_file():  # some distributions ship it apart
    return {}
  for statement in ast.parse(_read(path)).body:
    if isinstance(statement, ast.Assign):
      return ast.literal_eval(statement.value)
  return {}


def _without_rulers(text: str) -> str:
  kept = (
    "" if _RULER.fullmatch(line) else line.rstrip() for line in text.split("\n")
  )
  return re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip()
