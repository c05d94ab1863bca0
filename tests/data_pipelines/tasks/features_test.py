# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from bertjax.batch import ENCODER_FEATURES, check_batch
from data_pipelines.tasks.features import encode_texts, fit
from data_pipelines.tokenizers.template import Template
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


def test_a_long_text_has_windows_that_overlap():
  text = " ".join(map(str, range(10, 20)))
  encoded = encode_texts(NumberTokenizer(), [text, "20"], None, 6, stride=3)
  assert encoded.owner_N.tolist() == [0, 0, 0, 1]
  assert encoded.cut == 0
  tokenizer = NumberTokenizer()
  found = [
    [int(token) for token in row[row != tokenizer.pad_id]][1:-1]
    for row in encoded.features["tokens_BS"]
  ]
  assert found == [[*range(10, 14)], [*range(13, 17)], [*range(16, 20)], [20]]
  # A text of each length is counted once, whatever its windows.
  assert encoded.tokens == 11


def test_of_a_long_pair_the_longer_text_has_windows():
  long, short = " ".join(map(str, range(10, 20))), "30 31"
  for texts, pairs, kind in (([long], [short], 0), ([short], [long], 1)):
    encoded = encode_texts(NumberTokenizer(), texts, pairs, 9, stride=2)
    assert encoded.cut == 0
    rows = encoded.features
    assert len(rows["tokens_BS"]) == 4
    for tokens_S, types_S in zip(
      rows["tokens_BS"], rows["types_BS"], strict=True
    ):
      both = {30, 31} <= {*tokens_S.tolist()}
      assert both
      assert types_S[tokens_S == 30].tolist() == [1 - kind]


def test_a_second_text_that_fills_a_row_is_cut_and_counted():
  long = " ".join(map(str, range(10, 20)))
  encoded = encode_texts(NumberTokenizer(), [long], [long], 9, stride=2)
  assert encoded.cut == 1
  # Half of the six tokens beside the special ones is left for each.
  assert (encoded.features["types_BS"].sum(axis=1) == 4).all()


def test_texts_that_fit_have_the_rows_that_they_have_without_windows():
  texts = ["10 11", "12", ""]
  plain, divided = (
    encode_texts(NumberTokenizer(), texts, None, 6, stride) for stride in (0, 2)
  )
  assert divided.owner_N.tolist() == [0, 1, 2]
  for name, rows in plain.features.items():
    np.testing.assert_array_equal(divided.features[name], rows)


class RobertaTokenizer(NumberTokenizer):
  template = Template.doubled(CLS, SEP)


def test_rows_have_the_special_tokens_of_the_tokenizer():
  rows = encode_texts(RobertaTokenizer(), ["10 11"], ["20 21"], 9).features
  assert rows["tokens_BS"].tolist() == [
    [CLS, 10, 11, SEP, SEP, 20, 21, SEP, PAD]
  ]
  assert not rows["types_BS"].any()
  # Four special tokens leave five of nine tokens.
  long = encode_texts(RobertaTokenizer(), ["10 11 12 13"], ["20 21"], 9)
  assert long.features["tokens_BS"].tolist() == [
    [CLS, 10, 11, 12, SEP, SEP, 20, 21, SEP]
  ]
  assert long.cut == 1
  with pytest.raises(ValueError, match="5 leaves no room for text beside 4 s"):
    encode_texts(RobertaTokenizer(), ["10"], ["20"], 5)
  encode_texts(RobertaTokenizer(), ["10"], ["20"], 6)
