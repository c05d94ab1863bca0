# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import textwrap

import pytest

from data_pipelines.corpora import sentences
from data_pipelines.corpora.line_wraps import paragraphs

ENGLISH = (
  "He came out of the house early and went along the road to the river, where "
  "an old friend of his was waiting. In London Tom Brown had seen Mary Smith. "
  "They were silent for a long time. The water was dark. "
)
RUSSIAN = (
  "Он вышел из дома рано утром и пошёл по дороге к реке, где его ждал старый "
  "друг. Вода была тёмной. Они долго молчали и смотрели на другой берег. "
)
GERMAN = (
  "Er ging über die Straße, öffnete das Tor und übersah dabei die Äste, die "
  "über dem Weg hingen. Ähnlich war es gestern. Überall lag der Schnee. "
)
HINDI = (
  "वह सुबह जल्दी घर से निकला और नदी की ओर जाने वाली सड़क पर चल पड़ा जहाँ उसका "
  "पुराना दोस्त इंतज़ार कर रहा था। पानी गहरा था। वे देर तक चुप रहे। "
)
CHINESE = (
  "楚汉分争又并入于汉高祖斩白蛇而起义一统天下后来光武中兴传至献帝遂分为三国推"
  "其致乱之由殆始于桓灵二帝。"
)


@pytest.mark.parametrize("width", [30, 35, 40, 50, 60, 72])
@pytest.mark.parametrize("text", [ENGLISH, RUSSIAN, GERMAN, HINDI])
def test_a_narrow_column_has_the_sentences_of_its_text(text, width):
  text = (text * 6).strip()
  wrapped = textwrap.fill(text, width)
  assert sentences.split(wrapped) == sentences.split(text)


@pytest.mark.parametrize("width", [20, 35, 40, 50, 80])
def test_no_space_is_put_between_two_ideographs(width):
  text = CHINESE * 5
  lines = [text[i : i + width] for i in range(0, len(text), width)]
  for end in ("\n", " \n"):
    assert sentences.split(end.join(lines)) == [CHINESE] * 5


def test_kana_are_joined_and_korean_words_are_not():
  assert paragraphs("これはとても長いぶ\nんしょうです") == [
    "これはとても長いぶんしょうです"
  ]
  assert paragraphs("이것은 매우\n긴 문장입니다") == [
    "이것은 매우 긴 문장입니다"
  ]
  assert paragraphs("全部で 3\n個の BERT\nです") == ["全部で 3 個の BERT です"]


def test_a_heading_above_ideographs_is_a_paragraph():
  text = "第一章\n" + CHINESE[:35] + "\n" + CHINESE[35:]
  assert paragraphs(text) == ["第一章", CHINESE]


def test_ideographic_spaces_start_a_paragraph():
  text = f"　　{CHINESE[:30]}\n{CHINESE[30:]}\n　　他走了"
  assert paragraphs(text) == [CHINESE, "他走了"]


def test_verse_keeps_its_lines():
  verse = [
    "The boy stood on the burning deck,",
    "Whence all but he had fled;",
    "The flame that lit the battle wreck",
    "Shone round him over the dead.",
    "Yet beautiful and bright he stood",
    "As born to rule the storm",
  ]
  assert paragraphs("\n".join(verse)) == [
    f"{verse[0]} {verse[1]} {verse[2]}",
    *verse[3:],
  ]


def test_one_line_is_one_paragraph():
  assert paragraphs("  Two   words\t here ") == ["Two words here"]
