# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Prose of the running Python's standard library, a corpus without download.

A document is the docstrings and comment blocks of one module, or one topic of
`help()`. Modules are parsed, not imported. Documents are sorted by name: the
same interpreter always gives the same corpus.
"""

import ast
import contextlib
import dataclasses
import functools
import gc
import inspect
import os
import pathlib
import platform
import re
import sysconfig
import tokenize
import warnings
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from data_pipelines.corpora.documents import Document
from data_pipelines.corpora.reading import ReadCounts, ReadOptions
from data_pipelines.corpora.source import OpenedSources, Place, Source

# Tests have little prose, and the packages that are installed differ from
# machine to machine.
_SKIPPED = frozenset(
  ("site-packages", "dist-packages", "test", "tests", "idle_test")
)
_TOPICS = "pydoc_data.topics"
_DEFINITIONS = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
# Rulers, boxes and blank comment lines.
_RULER = re.compile(r"[\W_]*")
# A comment or a string, in three quotes or in one on a single line. A
# backslash escapes the quote after it, also in bytes and raw strings.
_STRING_OR_COMMENT = re.compile(
  r"#[^\n]*"
  r'|"""(?:[^"\\]|\\.|"(?!""))*"""'
  r"|'''(?:[^'\\]|\\.|'(?!''))*'''"
  r'|"(?:[^"\\\n]|\\.)*"'
  r"|'(?:[^'\\\n]|\\.)*'",
  re.DOTALL,
)
_NOT_PROSE = re.compile(r"#!|#.*?coding[:=]|#\s*(?:type|pragma|noqa)\b")
# A comment of fewer words is a label, or code that was commented out.
_COMMENT_WORDS = 3
_WORD = re.compile(r"[^\W\d_]{2,}")


class Docstring(NamedTuple):
  """A docstring and the definition that it belongs to.

  Attributes:
    package: first part of the module's name.
    module: dotted name of the module.
    name: qualified name inside the module, "" for the module itself.
    text: docstring, as `inspect.cleandoc` cleans it.
  """

  package: str
  module: str
  name: str
  text: str


@dataclasses.dataclass(frozen=True)
class StdlibSource(Source):
  """Prose of the running Python."""

  @property
  def readable_on(self) -> Place:
    """This Python: another version has other prose."""
    return "this Python"

  def _documents(self, counts: ReadCounts) -> Iterator[Document]:
    del counts  # nothing is read from files of the user
    return documents()


def open_stdlib(parts: Sequence[str], options: ReadOptions) -> OpenedSources:
  """Open the corpus "stdlib"."""
  (name,) = parts
  return OpenedSources(
    [StdlibSource(name, 0, options)],
    lambda: {name: f"Python {platform.python_version()}"},
  )


class _Passage(NamedTuple):
  line: int
  name: str | None  # None for a comment block
  text: str


@functools.cache
def docstrings() -> tuple[Docstring, ...]:
  """Return all docstrings of the standard library, by module and line."""
  return tuple(
    Docstring(module.partition(".")[0], module, passage.name, passage.text)
    for module, passages in _modules()
    for passage in passages
    if passage.name is not None
  )


def documents() -> Iterator[Document]:
  """Yield one document per module, then one per topic of `help()`."""
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


# Cached: parsing takes seconds, and both this corpus and the fine-tuning task
# of the standard library need it.
@functools.cache
def _modules() -> tuple[tuple[str, tuple[_Passage, ...]], ...]:
  modules = []
  with _without_collection():
    for name, path in _sources():
      source = _read(path)
      tree = _parse(source)
      if tree is not None:
        passages = _docstrings(tree) + _comment_blocks(source)
        if passages:
          modules.append((name, tuple(sorted(passages))))
  return tuple(modules)


@contextlib.contextmanager
def _without_collection() -> Iterator[None]:
  """Pause the collector of reference cycles, which syntax trees do not have.

  It runs whenever many objects have been made, and visits all others as well,
  JAX's among them. That took half of the time of parsing.
  """
  was_on = gc.isenabled()
  gc.disable()
  try:
    yield
  finally:
    if was_on:
      gc.enable()


def _read(path: pathlib.Path) -> str:
  try:
    with tokenize.open(path) as file:
      return file.read()
  except (SyntaxError, UnicodeDecodeError):  # a test of wrong encodings
    return ""


def _parse(source: str) -> ast.Module | None:
  with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # invalid escapes in old strings
    try:
      return ast.parse(source)
    except (SyntaxError, ValueError):  # a template, or a file in Python 2
      return None


def _docstrings(tree: ast.Module) -> list[_Passage]:
  found = []

  def visit(node: ast.AST, name: str) -> None:
    if isinstance(node, _DEFINITIONS):
      text = ast.get_docstring(node, clean=False)
      if text and (text := _without_rulers(inspect.cleandoc(text))):
        found.append(_Passage(node.body[0].lineno, name, text))
    for child in ast.iter_child_nodes(node):
      # Definitions are statements; expressions contain none.
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
  """Return the numbers, from 1, of rows that hold nothing but a comment.

  The rows are those that `tokenize` finds, but found many times faster:
  outside strings and comments every quote starts a string and every hash
  starts a comment.
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
  if not path.is_file():  # some distributions package it separately
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
