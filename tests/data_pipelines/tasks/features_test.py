# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from bertjax.batch import ENCODER_FEATURES, check_batch
from data_pipelines.tasks.features import encode_texts, fit
from tests.testing.number_tokenizer import CLS, PAD, SEP, NumberTokenizer


def test_a_single_text_is_a_classic_row():
  rows = encode_texts(
    NumberTokenizer(), ["10 11 12", "10 11 12 13 14 15", ""], None, 7
  ).features
  check_batch(rows, ENCODER_FEATURES)
  assert rows["tokens_BS"].tolist() == [
    [CLS, 10, 11, 12, SEP, PAD, PAD],
    [CLS, 10, 11, 12, 13, 14, SEP],
    [CLS, SEP, PAD, PAD, PAD, PAD, PAD],
  ]
  assert rows["positions_BS"].tolist()[0] == [0, 1, 2, 3, 4, 0, 0]
  assert rows["packs_BS"].tolist()[0] == [1, 1, 1, 1, 1, 0, 0]
  assert not rows["types_BS"].any()
  assert not rows["starts_BR"].any()


def test_a_pair_has_types():
  rows = encode_texts(NumberTokenizer(), ["10"], ["20 21"], 8).features
  assert rows["tokens_BS"].tolist() == [[CLS, 10, SEP, 20, 21, SEP, PAD, PAD]]
  assert rows["types_BS"].tolist() == [[0, 0, 0, 1, 1, 1, 0, 0]]


def test_fit_drops_from_the_longer_text_token_by_token():
  for size_a in range(12):
    for size_b in range(12):
      for budget in range(2, 14):
        a, b = size_a, size_b
        while a + b > budget:
          if a > b:
            a -= 1
          else:
            b -= 1
        assert fit(size_a, size_b, budget) == (a, b)


@pytest.mark.parametrize(("pairs", "length"), [(None, 2), (["1"], 4)])
def test_a_length_without_room_is_refused(pairs, length):
  with pytest.raises(ValueError, match=f"seq_length={length} leaves no room"):
    encode_texts(NumberTokenizer(), ["1"], pairs, length)
  encode_texts(NumberTokenizer(), ["1"], pairs, length + 1)


def test_pairs_of_another_number_are_refused():
  with pytest.raises(ValueError, match="2 texts have 1 pairs"):
    encode_texts(NumberTokenizer(), ["1", "2"], ["1"], 9)
