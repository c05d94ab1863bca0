# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import ast
import io
import sys
import tokenize

import pytest

from data_pipelines import stdlib_corpus


def test_corpus_has_the_promised_size_and_imports_nothing():
  before = set(sys.modules)
  documents = list(stdlib_corpus.documents())
  assert not {"turtle", "antigravity", "idlelib"} & (set(sys.modules) - before)
  assert len(documents) > 600
  assert sum(len(document.text) for document in documents) > 2_500_000
  names = [document.name for document in documents]
  assert len(set(names)) == len(names)
  assert "stdlib:asyncio.tasks" in names
  assert "stdlib:pydoc_data.topics:LAMBDA".lower() in map(str.lower, names)
  assert all(document.text.strip() for document in documents)


def test_docstrings_name_their_package_and_equal_the_live_ones():
  import json.decoder
  import textwrap

  found = {
    (doc.module, doc.name): doc.text for doc in stdlib_corpus.docstrings()
  }
  assert len(found) > 6_000
  for doc in stdlib_corpus.docstrings():
    assert doc.module.split(".")[0] == doc.package
  # Rulers are dropped and trailing blanks cut; the words are the same.
  for module, name, thing in (
    ("textwrap", "", textwrap),
    ("textwrap", "TextWrapper", textwrap.TextWrapper),
    ("textwrap", "TextWrapper.wrap", textwrap.TextWrapper.wrap),
    ("json.decoder", "JSONDecoder.raw_decode",
     json.decoder.JSONDecoder.raw_decode),
  ):  # fmt: skip
    assert found[module, name].split() == (thing.__doc__ or "").split()


def test_tests_and_installed_packages_stay_out():
  packages = {doc.package for doc in stdlib_corpus.docstrings()}
  assert not packages & {"test", "numpy", "site-packages", "pip"}


TRICKY = '''\
#!/usr/bin/env python
# -*- coding: utf-8 -*-
"""Module words.

# not a comment, a docstring
"""
# a real comment block here
# over two rows

x = 1  # a trailing comment is no block
y = ("one"
     # words between two joined strings
     "two")
# =====================================
def f():
  # type: ignore words words words
  s = """
  # inside a string, looks like one
  """
  if x:
    async def g():
      "words of the inner function"
'''


def test_comment_blocks_are_what_tokenize_calls_comments():
  tree = ast.parse(TRICKY)
  blocks = stdlib_corpus._comment_blocks(TRICKY, tree)
  assert [block.text for block in blocks] == [
    "a real comment block here\nover two rows",
    "words between two joined strings",
  ]
  passages = stdlib_corpus._docstrings(tree)
  assert [(passage.name, passage.text) for passage in passages] == [
    ("", "Module words.\n\n# not a comment, a docstring"),
    ("f.g", "words of the inner function"),
  ]


@pytest.mark.parametrize("module", ["argparse", "tokenize", "turtle", "typing"])
def test_fast_comment_rows_equal_tokenize(module):
  path = dict(stdlib_corpus._sources())[module]
  source = path.read_text(encoding="utf-8")
  tokens = tokenize.generate_tokens(io.StringIO(source).readline)
  expected = [
    token.start[0]
    for token in tokens
    if token.type == tokenize.COMMENT
    and not token.line[: token.start[1]].strip()
  ]
  found = stdlib_corpus._comment_rows(
    source, source.split("\n"), ast.parse(source)
  )
  assert found == expected
