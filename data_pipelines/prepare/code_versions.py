# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Versions of the code that determines the bytes of an encoded document."""

import functools
import hashlib
import importlib.metadata
import pathlib
import re
import unicodedata
from collections.abc import Iterator

_PACKAGE = pathlib.Path(__file__).parents[1]
# Modules that read and encode documents, here and on workers of Beam. Of the
# tokenizers they import the base class alone, by which the others are found.
_ENCODES = ("prepare.encode_pass", "prepare.beam_steps")
_TOKENIZER = re.compile(
  r"^class \w+\([^)]*(Tokenizer|SentencePiece)\b", re.MULTILINE
)
_IMPORT = re.compile(
  r"^ *from data_pipelines\.?([\w.]*) import (\([^)]*\)|.*)", re.MULTILINE
)
_NAME = re.compile(r"\w+")


@functools.cache
def code_versions() -> dict[str, str]:
  """Return versions of packages and tables by name, and a hash of our code."""
  found = {
    name: importlib.metadata.version(name)
    for name in ("tokenizers", "sentencepiece")
  }
  return found | {
    "Unicode tables": unicodedata.unidata_version,
    "code of data_pipelines": hash_code(_PACKAGE),
  }


def hash_code(package: pathlib.Path) -> str:
  """Hash every module that encodes, in a copy of data_pipelines."""
  code = hashlib.sha256()
  for path in encoding_modules(package):
    code.update(path.relative_to(package).as_posix().encode())
    code.update(path.read_bytes())
  return code.hexdigest()[:8]


def encoding_modules(package: pathlib.Path) -> list[pathlib.Path]:
  """Return `_ENCODES`, all tokenizers, and what they import from `package`."""
  found: set[pathlib.Path] = set()
  wanted = [_path(package, name) for name in _ENCODES]
  wanted += [
    path
    for path in (package / "tokenizers").glob("*.py")
    if _TOKENIZER.search(path.read_text(encoding="utf-8"))
  ]
  while wanted:
    path = wanted.pop()
    if path not in found:
      found.add(path)
      wanted += _imports(package, path)
  return sorted(found)


def _imports(
  package: pathlib.Path, path: pathlib.Path
) -> Iterator[pathlib.Path]:
  # A parser would take as long as thousands of short documents.
  for module, imported in _IMPORT.findall(path.read_text(encoding="utf-8")):
    names = (f"{module}.{name}" for name in _NAME.findall(imported))
    paths = (_path(package, name) for name in (module, *names))
    yield from filter(pathlib.Path.is_file, paths)


def _path(package: pathlib.Path, module: str) -> pathlib.Path:
  return package.joinpath(*module.split(".")).with_suffix(".py")
