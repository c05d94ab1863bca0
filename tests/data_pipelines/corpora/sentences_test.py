# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import argparse
import heapq
import inspect
import random
import textwrap

import pytest

from data_pipelines.corpora import sentences


def test_hard_wraps_are_undone():
  text = (
    "As authors may be supposed to know better than anyone else what they\n"
    "intended to do, I beg leave to say that there is no moral to this\n"
    "story. Rose is not a model girl.\n"
    "\n"
    "    The second\n"
    "    paragraph, indented."
  )
  assert sentences.split(text) == [
    "As authors may be supposed to know better than anyone else what they "
    "intended to do, I beg leave to say that there is no moral to this story.",
    "Rose is not a model girl.",
    "The second paragraph, indented.",
  ]


@pytest.mark.parametrize(
  "text",
  [
    "Mr. Smith met Dr. J. R. R. Tolkien in St. Louis.",
    "“What?” he asked, and she said nothing.",
    "It cost $3.50 vs. $4.00 (see Fig. 3 and pp. 4-5).",
    "The U.S. Senate met at no. 5, Rev. Brown said.",
    "Use e.g. asyncio.run() or i.e. a loop, cf. PEP 492.",
    "Wait ... then go on.",
    "1. The first item of a list.",
    "IV. The fourth chapter.",
    "It ended on Jan. 5 at 3 a.m. and nobody cared.",
    "“Stop!” — she cried.",
    "Visit example.com/index.html or call foo.bar(baz).",
    "la fin. écrite en minuscules",
  ],
)
def test_one_sentence_stays_one(text):
  assert sentences.split(text) == [text]


@pytest.mark.parametrize(
  "parts",
  [
    ["It was late.", "He left."],
    ["“Go away!”", "“Why should I?”", "He shrugged."],
    ["So said I.", "Then came the rain."],
    ["He came at 3 a.m.", "She left at 5 p.m.", "Nobody saw them."],
    ["What a day...", "And then?", "(Nothing.)", "It ended."],
    ["Dans l'eau.", "Étienne rit.", "¿Qué pasa?", "¡Nada!"],
    ["No.", "Never.", "He said no.", "They agreed."],
    ["See chapter 3.", "42 is the answer."],
    ["यह पहला वाक्य है।", "यह दूसरा है।"],
  ],
)
def test_two_sentences_are_split(parts):
  assert sentences.split(" ".join(parts)) == parts


def test_ideographic_marks_need_no_space():
  assert sentences.split("今日は晴れ。「本当？」そうです！") == [
    "今日は晴れ。",
    "「本当？」",
    "そうです！",
  ]


def test_lists_headings_verse_and_tables_keep_their_lines():
  text = (
    "CONTENTS\n"
    "     Chapter 1.  Coming Home\n"
    "     Chapter 2.  Old Friends\n"
    "Options are these:\n"
    "- one that goes on\n"
    "  in the next line\n"
    "* two\n"
    ">>> print(1)\n"
    "a line that is long enough to have been wrapped at its very end by Tom\n"
    "Land, who went on."
  )
  assert sentences.split(text) == [
    "CONTENTS",
    "Chapter 1. Coming Home",
    "Chapter 2. Old Friends",
    "Options are these:",
    "- one that goes on in the next line",
    "* two",
    ">>> print(1) a line that is long enough to have been wrapped at its very "
    "end by Tom Land, who went on.",
  ]


def test_unwrapped_paragraphs_end_at_their_line():
  paragraph = "This is one long paragraph of a dump. " * 8
  text = f"{paragraph.strip()}\nshort heading\n{paragraph.strip()}"
  found = sentences.split(text)
  assert found.count("short heading") == 1
  assert len(found) == 17


def test_lines_mode_takes_every_line():
  text = "One. Two.\n\n  three  \nfour\t\n\n"
  assert sentences.split(text, "lines") == ["One. Two.", "three", "four"]
  with pytest.raises(ValueError, match="sentences='words'; choose from seg"):
    sentences.split(text, "words")


def test_nothing_but_white_space_gives_no_sentence():
  for mode in sentences.MODES:
    for text in ("", " ", "\n\n \t\n"):
      assert sentences.split(text, mode) == []


def assert_lossless(text):
  for mode in sentences.MODES:
    found = sentences.split(text, mode)
    assert "".join("".join(found).split()) == "".join(text.split())
    assert all(s == s.strip() != "" for s in found)


def test_no_character_is_lost_or_moved():
  rng = random.Random(0)
  alphabet = "aB3 .!?…。」 \n\n\t\"'“”()-*—é中\u3000\u00a0"
  for _ in range(2000):
    assert_lossless("".join(rng.choices(alphabet, k=rng.randrange(120))))
  for module in (argparse, heapq, textwrap):
    assert_lossless(inspect.getsource(module))


def test_books_give_sentences_of_plausible_length(book_paragraphs):
  text = "\n\n".join(book_paragraphs)
  assert_lossless(text)
  found = sentences.split(text)
  words = sorted(len(sentence.split()) for sentence in found)
  assert 8 <= words[len(words) // 2] <= 25
  assert words[-1] < 400
  # Line wraps are undone: few sentences start with a lower-case letter.
  lower = sum(sentence[0].islower() for sentence in found)
  assert lower < 0.03 * len(found)
