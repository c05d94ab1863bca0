# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Tables of texts become rows without padding, or a line says why not."""

import numpy as np
import pytest

from bertjax.finetune.task import Head
from data_pipelines.tokenizers import tokenizers
from launch.exports.calibration import Texts, alone, read_texts
from launch.exports.formats import Options
from tests.testing import small
from tests.testing.examples import ragged

HEAD = Head("words", ("fish", "tree"), "cls", seq_length=7, pair=False)
TABLE = """text,other,label
the cod,a hill,fish
an elm and the fir and the oak,a river,tree
the ash,the hill,tree
"""


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
  return tokenizers.load(
    small.make_tokenizer(tmp_path_factory.mktemp("tokenizer") / "t")
  )


@pytest.fixture
def table(tmp_path):
  (tmp_path / "texts.csv").write_text(TABLE)
  return str(tmp_path / "texts.csv")


def read(table, tokenizer, head: Head | None = HEAD, **columns):
  return read_texts(Options(calibration=table, **columns), head, tokenizer, 7)


def test_rows_have_the_length_of_their_texts(table, tokenizer, caplog):
  texts = read(table, tokenizer)
  assert [row["tokens_BS"].shape for row in texts.rows] == [
    (1, 4),
    (1, 7),
    (1, 4),
  ]
  assert all(row["packs_BS"].all() for row in texts.rows)
  assert texts.rows[0]["starts_BR"].shape == (1, 1)
  assert (len(texts), texts.total, texts.cut) == (3, 3, 1)
  assert "1 of 3 texts are cut to 7 tokens" in caplog.text
  some = texts.take(np.array([2, 0]))
  assert some.total == 3
  assert some.rows[1] is texts.rows[0]


def test_pairs_are_read_by_a_model_of_pairs(table, tokenizer):
  head = Head("words", ("fish", "tree"), "cls", seq_length=9, pair=True)
  texts = read(table, tokenizer, head, text_pair_column="other")
  np.testing.assert_array_equal(
    texts.rows[0]["types_BS"], [[0, 0, 0, 0, 1, 1, 1]]
  )
  with pytest.raises(ValueError, match="reads pairs of texts; give --text_pai"):
    read(table, tokenizer, head)
  with pytest.raises(ValueError, match="reads single texts; leave out --text"):
    read(table, tokenizer, text_pair_column="other")


def test_a_bad_row_is_one_line(table, tokenizer):
  with open(table, "a") as file:
    file.write(",a hill,fish\n")
  with pytest.raises(
    ValueError, match=r"texts.csv:5 .*; give --calibration a table without"
  ):
    read(table, tokenizer)


def test_a_spread_is_even():
  texts = Texts([{}] * 10, 10, 0)
  assert texts.spread(3).tolist() == [0, 3, 6]
  assert texts.spread(99).tolist() == list(range(10))


def test_a_row_alone_has_no_padding():
  batch = ragged(3, 12)
  length = int((batch["packs_BS"][1] > 0).sum())
  row = alone(batch, 1)
  np.testing.assert_array_equal(
    row["tokens_BS"], batch["tokens_BS"][1:2, :length]
  )
  assert row["starts_BR"].shape == (1, 1)
