# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Laws of the letters that a vocabulary starts from."""

import collections

from data_pipelines.tokenizers import alphabet


def choose(counts, vocab_size=1000, **least):
  return alphabet.choose_alphabet(
    collections.Counter(counts), vocab_size, str.isalpha, **least
  )


def test_letters_are_counted_by_occurrences_and_chosen_by_coverage():
  """Not by words, and not by their number."""
  common = {"ab": 40_000, "ad": 20_000, "!": 30_000}
  assert choose({**common, "z": 1}).letters == ["!", "a", "b", "d"]
  # One in 100,000 characters is covered by no more than chance.
  assert choose({**common, "z": 10}).letters == ["!", "a", "b", "d", "z"]


def test_each_letter_that_continues_words_is_two_tokens():
  found = choose({"ab": 9, "c": 5, "!": 1})
  assert found.letters == ["!", "a", "b", "c"]
  assert found.inner == ["a", "b", "c"]
  assert found.cost == 7


def test_letters_take_half_of_the_vocabulary():
  rare = {chr(0x400 + i): 1 for i in range(80)}
  found = choose({"ab": 100_000, **rare}, 40)
  assert len(found.letters) == 10
  assert found.cost == 20
  assert {"a", "b"} < set(found.letters)
  # Of equally common letters the first are chosen.
  assert set(found.letters) - {"a", "b"} == {chr(0x400 + i) for i in range(8)}


def test_a_text_that_needs_more_letters_gets_them():
  """At least 99 % of the characters, unless the caller asks for less."""
  even = {chr(0x400 + i): 1 for i in range(80)}
  assert len(choose(even, 40).letters) == 80
  assert choose(even, 40, least=0.0).cost == 20


def test_no_words_have_no_letters():
  assert choose({}) == ([], [])
