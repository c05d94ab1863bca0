# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import ast
import gc
import io
import sys
import tokenize

import pytest

from data_pipelines.corpora import stdlib_corpus


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


def test_the_collector_rests_while_modules_are_parsed(monkeypatch):
  seen = []
  monkeypatch.setattr(
    stdlib_corpus, "_sources", lambda: [("ast", ast.__file__)]
  )
  monkeypatch.setattr(
    stdlib_corpus, "_parse", lambda _: seen.append(gc.isenabled())
  )
  read = stdlib_corpus._modules.__wrapped__
  read()
  assert seen == [False]
  assert gc.isenabled()
  monkeypatch.setattr(stdlib_corpus, "_parse", None)
  with pytest.raises(TypeError):
    read()
  assert gc.isenabled()


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
  blocks = stdlib_corpus._comment_blocks(TRICKY)
  assert [block.text for block in blocks] == [
    "a real comment block here\nover two rows",
    "words between two joined strings",
  ]
  passages = stdlib_corpus._docstrings(ast.parse(TRICKY))
  assert [(passage.name, passage.text) for passage in passages] == [
    ("", "Module words.\n\n# not a comment, a docstring"),
    ("f.g", "words of the inner function"),
  ]


def comment_rows(source):
  tokens = tokenize.generate_tokens(io.StringIO(source).readline)
  return [
    token.start[0]
    for token in tokens
    if token.type == tokenize.COMMENT
    and not token.line[: token.start[1]].strip()
  ]


@pytest.mark.parametrize(
  "modules",
  [
    ["argparse", "tokenize", "turtle", "typing", "shlex"],
    pytest.param(None, marks=pytest.mark.full),
  ],
)
def test_comment_rows_are_those_of_tokenize(modules):
  sources = dict(stdlib_corpus._sources())
  for module in modules or sources:
    source = stdlib_corpus._read(sources[module])
    if stdlib_corpus._parse(source):
      found = stdlib_corpus._comment_rows(source)
      assert found == comment_rows(source), module


@pytest.mark.parametrize(
  "source",
  [
    "x = r'\\\\'  # a\n# b\n",
    "x = '''a'b''c\\'''d\n# no\n'''\n# yes\n",
    'x = """"quoted"\n# no\n"""\n# yes\n',
    "x = 'a\\\n# no'\n# yes\n",
    "x = \"it's\" 'say \"hi\"' # trailing\n  # it's \"own\n# '''\n",
    "x = ''\n# yes\ny = \"\"\n# yes\n",
    TRICKY,
  ],
)
def test_quotes_and_hashes_start_what_tokenize_says(source):
  assert stdlib_corpus._comment_rows(source) == comment_rows(source)
