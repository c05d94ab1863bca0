# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Laws of reading the index, and of cutting segments."""

import numpy as np
import pytest

from data_pipelines.host_rng import HostRng
from data_pipelines.rows.examples import count_front, read_text
from data_pipelines.store.store import open_store
from tests.testing import synthetic


def test_front_and_back_lose_equally_often():
  removed = np.tile(np.arange(0, 600), 40)
  front = count_front(HostRng("front"), "front", removed)
  assert (front >= 0).all()
  assert (front <= removed).all()
  deviation = np.sqrt(removed.sum()) / 2
  assert abs(front.sum() - removed.sum() / 2) < 5 * deviation
  # The coins of one example are independent: its count is binomial.
  large = removed >= 300
  scaled = (front - removed / 2)[large] / np.sqrt(removed[large] / 4)
  assert abs(scaled.std() - 1) < 0.05


@pytest.mark.parametrize("part", ["sentences", "documents", "blocks"])
def test_a_damaged_index_is_an_error_and_no_other_text(part, tmp_path):
  folder = tmp_path / "made"
  documents = synthetic.draw_documents(60)
  synthetic.make_store(folder, {"train": documents}, block_tokens=1000)
  path = folder / f"train.{part}.npy"
  index = np.load(path)
  # Of the second block: its first sentence, document and token.
  split = open_store(folder).split("train")
  document, _, sentence, _ = split.blocks[1].tolist()
  place = {"sentences": sentence, "documents": document, "blocks": (1, 3)}
  index[place[part]] += 1
  np.save(path, index)
  split = open_store(folder).split("train")
  with pytest.raises(ValueError, match="the store is damaged") as raised:
    read_text(split, 1)
  assert "\n" not in str(raised.value)
