# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from data_pipelines.tasks.conll import Columns, read_file
from data_pipelines.tasks.sentences import Sentence

LAST = Columns(0, -1)


def write(tmp_path, text):
  path = tmp_path / "a.conll"
  path.write_text(text)
  return str(path)


def read(path, columns=LAST, *, skip=False):
  return read_file(path, columns, skip)


def test_sentences_end_at_blank_lines_and_documents(tmp_path):
  path = write(
    tmp_path,
    "-DOCSTART- -X- O O\n\nEU NNP B-ORG\nrejects VBZ O\n\n \n"
    "-DOCSTART- -X- O O\nPeter NNP B-PER\r\n",
  )
  assert read(path).examples == (
    Sentence(("EU", "rejects"), ("B-ORG", "O"), f"{path}:3"),
    Sentence(("Peter",), ("B-PER",), f"{path}:8"),
  )


def test_tabs_divide_words_that_have_spaces(tmp_path):
  path = write(tmp_path, "New York\tX\tS-LOC\n\t\n#\tX\tO\n")
  assert [s.words for s in read(path).examples] == [("New York",), ("#",)]


def test_columns_are_chosen(tmp_path):
  path = write(tmp_path, "1 EU B-ORG NNP\n2 is O VBZ\n")
  (found,) = read(path, Columns(1, 2)).examples
  assert (found.words, found.tags) == (("EU", "is"), ("B-ORG", "O"))


@pytest.mark.parametrize(
  ("text", "message"),
  [
    ("a O\nb\n", r":2 has 1 columns, and the first line 2: every word needs"),
    ("a\tO\n\tO\n", r":2 has the tag 'O' and no word"),
    ("a\tO\nb\t\n", r":2 has the word 'b' and no tag"),
    (
      "a B-X\n\nb NN\n",
      r":3 has the tag 'NN', and other tags .* give I-NN, .*task.tag_column",
    ),
    ("a B-\n", r":1 has the tag 'B-'; give O"),
  ],
)
def test_a_bad_line_is_named_or_its_sentence_is_skipped(
  tmp_path, text, message
):
  space = "\t" if "\t" in text else " "
  path = write(tmp_path, f"{text}\ngood{space}O\n")
  with pytest.raises(ValueError, match=f"{message}.*--config.task.skip_bad"):
    read(path)
  file = read(path, skip=True)
  assert [s.words for s in file.examples][-1] == ("good",)
  (skipped,) = file.skipped
  assert skipped.startswith(f"{path}:")


@pytest.mark.parametrize(
  ("text", "columns", "message"),
  [
    ("\n\n", LAST, "has no sentences; give lines of a word and its tag"),
    ("a O\n", Columns(0, 3), "task.tag_column=3: .*:1 has 2 columns; give 0"),
    ("a\nb\n", LAST, "has 1 columns, and task.word_column=0 and .* the same"),
  ],
)
def test_a_file_without_words_and_tags_is_refused(
  tmp_path, text, columns, message
):
  with pytest.raises(ValueError, match=message):
    read(write(tmp_path, text), columns)


def test_types_without_a_prefix_are_inside_tags_in_the_whole_file(tmp_path):
  path = write(tmp_path, "a O\n\nEU ORG\nhere O\n\nAda PER\nL. PER\n")
  assert [s.tags for s in read(path).examples] == [
    *(("O",), ("I-ORG", "O"), ("I-PER", "I-PER"))
  ]


def test_a_line_without_a_tag_does_not_decide_how_tags_are_written(tmp_path):
  path = write(tmp_path, "a O\nAda PER\n\nB-2\n")
  (sentence,) = read(path, skip=True).examples
  assert sentence.tags == ("O", "I-PER")


def test_part_of_speech_tags_are_refused(tmp_path):
  path = write(tmp_path, "a DT\n\nb NN\n")
  with pytest.raises(ValueError, match=r":1 has the tag 'DT'; give O, or B-"):
    read(path)


def test_a_file_of_bad_sentences_names_the_first(tmp_path):
  path = write(tmp_path, "a XX\n")
  with pytest.raises(ValueError, match=r"that can be used; .*:1 has the tag"):
    read(path, skip=True)
