# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import argparse
import heapq
import inspect
import random
import textwrap
import time
import timeit

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
    "I do not . . . know.",
    "Contents . . . . . . 12",
    "Introduction ............ 7",
    "“Wait…” he said.",
    "« Bonjour ! » dit-il.",
    "»Wer da?« fragte er.",
    "Am 3. Oktober 1990 wurde gefeiert.",
    "Im 19. Jahrhundert war das anders.",
    "Vgl. Abb. 3 und Tab. 4 der Fa. Müller mit ca. 50 Leuten.",
    "La Sra. López vive en EE. UU. desde 1990.",
    "Это написал проф. Иванов, см. рис. 5 и табл. 2.",
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
    ["He waited. . . .", "Then he left."],
    ["Well! ! !", "Yes? ?", "No"],
    ["It ended.", "...And then it began."],
    ["« Bonjour. »", "Il partit."],
    ["„Gut.“", "Er ging.", "»Ja.«", "Er kam."],
    ["She saw room 3.", "Then she left, and then he."],
  ],
)
def test_two_sentences_are_split(parts):
  assert sentences.split(" ".join(parts)) == parts


@pytest.mark.parametrize(
  "parts",
  [
    ["今日は晴れ。", "「本当？」", "そうです！"],
    ["什么！？", "你说什么！！！", "他走了。。。"],
    ['"今天很好。"', "然后他走了。"],
    ["他说：'好。'", '"明天好。', '后天好。"', "他走了。"],
    ["“今天。”", "然后『行こう。』", "と"],
    ["今天。", "“明天好。", "后天好。”"],
    ["የመጀመሪያው ነው።", "ሁለተኛው ነው።"],
    ["ပထမ။", "ဒုတိယ။"],
    ["ទីមួយ។", "ទីពីរ៕"],
    ["यह पहला है।", "यह दूसरा है॥१२॥", "तीसरा"],
    ["پہلا جملہ۔", "دوسرا جملہ۔"],
    ["Առաջինը։", "Երկրորդը։"],
  ],
)
def test_marks_that_only_end_sentences_need_no_space(parts):
  assert sentences.split("".join(parts)) == parts


def test_german_sentences_end_where_they_end():
  text = (
    "Am 3. Oktober 1990 wurde gefeiert. Im 19. Jahrhundert war das anders. "
    "Vgl. Abb. 3 und Tab. 4. Die Fa. Müller hat ca. 50 Leute. Das ist schön."
  )
  assert [len(s) for s in sentences.split(text)] == [34, 34, 56, 14]


def test_a_text_without_capitals_has_sentences():
  parts = [
    "go home.",
    "it was late!",
    "so i went, e.g. to bed . . . in the end.",
    "she came.",
    '"why?" he asked.',
    "who was that?!",
    "i do not know... not a bit.",
  ]
  assert sentences.split(" ".join(parts)) == parts
  # Somewhere else a small letter never starts a sentence.
  assert (
    sentences.split("The end. written small. " * 9)
    == ["The end. written small."] * 9
  )


def test_every_sentence_has_a_letter_where_marks_follow_each_other():
  text = "He went . . . . on. . . . Why? ? ? “No…” . . . ! He! ! “Ah . . .” Oh."
  for sentence in sentences.split(text):
    assert any(map(str.isalnum, sentence)), sentence


@pytest.mark.parametrize(
  "unit",
  [
    "J. A. Brown, K. L. ",
    ". ",
    '."',
    ". (",
    '。"',
    "॥ 1 ",
    "a. ",
    "im 3. Mai ",
    " \n",
    "...A",
    "». ",
  ],
)
def test_time_is_linear(unit):
  def seconds(size, repeat):
    text = "x" + unit * (size // len(unit))
    work = lambda: sentences.split(text)
    return min(timeit.repeat(work, time.process_time, repeat=repeat, number=1))

  # 32 times the text takes 32 times the time, or a few times as much on a busy
  # machine; quadratic would be 1,024 times.
  assert seconds(1 << 20, 2) < 300 * seconds(1 << 15, 5) + 0.1


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
  alphabet = "aB3 .!?…。」」।॥ \n\n\t\"'“”«»()-*—é中か\u3000\u00a0"
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
