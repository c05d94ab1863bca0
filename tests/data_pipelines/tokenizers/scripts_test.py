# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Laws of scripts: whose words have spaces, whose letters need marks."""

from data_pipelines.tokenizers import scripts


def test_scripts_without_spaces_are_known():
  assert all(map(scripts.is_unspaced, "漢𠀀豈ひカｱไลមမ〇"))
  assert not any(map(scripts.is_unspaced, "aéяא가ह1。「ー々\u0e31\u3099 "))


def test_marks_of_letters_that_need_them_are_lost():
  """Vowel signs, voicing and points; not accents, nor signs of emoji."""
  assert all(
    map(scripts.loses_mark, "がパऩ\u0941\u094d\u0e31\u05b8\u064e\u3099")
  )
  assert not any(map(scripts.loses_mark, "éΐйѐahह漢가≠\u0301\u0483\ufe0f"))
