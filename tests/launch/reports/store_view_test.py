# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from launch.reports import store_view

TOKENS = {
  "wordpiece": [
    *("[CLS]", "the", "cod", "##s", "##", "swim", "[SEP]"),
    *("a", "pike", "[SEP]"),
  ],
  "sentencepiece": [
    *("<cls>", "▁the", "▁cod", "s", "▁", "swim", "<sep>"),
    *("▁a", "▁pike", "<sep>"),
  ],
  # As `letters` of the tokenizer gives them.
  "byte_bpe": [
    *("<s>", " the", " cod", "s", " ", "swim", "</s>"),
    *(" a", " pike", "</s>"),
  ],
}
TEXT = {
  "wordpiece": ["the cods ## swim", "a pike"],
  "sentencepiece": ["the cods swim", "a pike"],
  "byte_bpe": ["the cods swim", "a pike"],
}


def show(tokenizer, chosen=()):
  example = {
    "label": "next",
    "pieces": TOKENS[tokenizer],
    "types": [0] * 7 + [1] * 3,
    "specials": [0, 6, 9],
    "chosen": list(chosen),
  }
  shown = store_view.show_samples(
    {"rows": [{"padding": 2, "examples": [example]}]}, tokenizer
  )
  return shown, shown["rows"][0]["examples"][0]["runs"]


@pytest.mark.parametrize("tokenizer", TOKENS)
def test_tokens_are_joined_to_words(tokenizer):
  _, runs = show(tokenizer)
  assert [run["segment"] for run in runs] == [
    *("special", "A", "special", "B", "special")
  ]
  texts = [
    "".join(" " * token["space"] + token["text"] for token in run["tokens"])
    for run in runs
    if run["segment"] != "special"
  ]
  assert texts == TEXT[tokenizer]


def test_a_mask_keeps_the_space_of_its_token():
  chosen = [
    {"position": 2, "was": "##cod", "becomes": "random"},
    {"position": 3, "was": "es", "becomes": "mask"},
    {"position": 5, "was": "swim", "becomes": "kept"},
  ]
  shown, runs = show("wordpiece", chosen)
  _, random, mask, _, kept = runs[1]["tokens"]
  assert (random["text"], random["was"]) == ("cod", "##cod")
  assert (random["space"], mask["space"]) == (False, True)
  assert (mask["text"], mask["was"]) == ("##s", "es")
  assert (kept["text"], kept["becomes"]) == ("swim", "kept")
  assert shown["becomes"] == dict.fromkeys(("mask", "random", "kept"), 1 / 3)
