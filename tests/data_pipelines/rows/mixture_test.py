# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Laws of opening a mixture, and of sharing a batch among its stores."""

import dataclasses

import numpy as np
import pytest

from bertjax.config import DataConfig, ObjectiveConfig
from data_pipelines.rows.mixture import open_mixture
from data_pipelines.rows.mixture_pipeline import MixturePipeline
from tests.testing import synthetic
from tests.testing.mixtures import SEQ, SHARES, make, opened


def test_tokens_are_counted_as_the_rows_are_shared(folder):
  mixed = opened(folder, {"long": 0.75, "short": 0.25})
  counts_V = mixed.token_counts(8)
  total = 0
  expected = np.zeros(len(counts_V))
  for member in mixed.members:
    own_V = member.store.token_counts()
    expected += float(member.weight) * own_V / own_V.sum()
    total += own_V.sum()
  assert abs(counts_V / total - expected).max() <= 1 / total
  # What makes no difference to the rows makes none to the counts.
  other = opened(folder, {"long": 0.76, "short": 0.24})
  np.testing.assert_array_equal(other.token_counts(8), counts_V)
  one = opened(folder, {"long": 3})
  np.testing.assert_array_equal(
    one.token_counts(8), one.members[0].store.token_counts()
  )


def test_names_are_the_last_folders_that_tell_stores_apart(folder, tmp_path):
  assert {member.name for member in opened(folder).members} == set(SHARES)
  made = [
    synthetic.make_store(
      tmp_path / name / "store",
      {"train": synthetic.draw_documents(4, seed=seed)},
    )
    for seed, name in enumerate(("a=1", "b"))
  ]
  both = open_mixture(
    DataConfig(stores=", ".join(f"{each.path}/ = 1" for each in made))
  )
  assert {member.name for member in both.members} == {"a=1/store", "b/store"}


def test_mistakes_are_refused_in_one_line(folder, tmp_path, monkeypatch):
  long, short = folder / "long", folder / "short"
  copy = tmp_path / "copy"
  copy.symlink_to(long)
  tokenizer = dataclasses.replace(synthetic.TOKENIZER, sha256="1" * 64)
  documents = {"train": synthetic.draw_documents(4)}
  empty = synthetic.make_store(tmp_path / "empty", {"train": []}).path
  monkeypatch.setattr(synthetic, "TOKENIZER", tokenizer)
  other = synthetic.make_store(tmp_path / "foreign", documents).path
  cases = [
    ("", "data.store is not given"),
    (f"{long}", "is not a store and its weight; give PATH=WEIGHT"),
    (f"{long}=1,", "'' is not a store and its weight"),
    ("=1", "'=1' is not a store and its weight"),
    (f"{long}=", "weight '' of"),
    (
      f"{long}=most",
      "weight 'most' of .*long is not a number above 0; give PATH",
    ),
    (f"{long}=0", "weight '0' of"),
    (f"{long}=-1", "weight '-1' of"),
    (f"{long}=nan", "weight 'nan' of"),
    (f"{long}=1e999", "weight '1e999' of"),
    (f"{long}=1e-999", "weight '1e-999' of"),
    (f"{long}=1,{long}=1", "names .*long twice"),
    (f"{long}=1,{copy}=1", "long and .*copy are the same store; give it once"),
    (f"{long}=1,/nowhere=1", "/nowhere"),
    (f"{long}=1,{other}=1", rf"foreign was made.*--tokenizer={long}"),
  ]
  for stores, message in cases:
    with pytest.raises(ValueError, match=message) as raised:
      open_mixture(DataConfig(stores=stores))
    assert "\n" not in str(raised.value)
  with pytest.raises(ValueError, match=r"data.store=a and data.stores=b=1"):
    open_mixture(DataConfig(store="a", stores="b=1"))

  shape = {"objective": ObjectiveConfig(), "batch_size": 9, "seed": 0}
  for stores, changes, message in (
    (f"{long}=1,{empty}=1", {}, "split 'train' of .*empty is empty"),
    (f"{long}=99,{short}=1", {}, r"short 0.01 of batch_size=9.*size=100 or"),
    (f"{long}=1,{short}=1", {"max_packs": SEQ}, f"max_packs={SEQ}"),
  ):
    data = DataConfig(stores=stores, seq_length=SEQ)
    data = dataclasses.replace(data, **changes)
    with pytest.raises(ValueError, match=message) as raised:
      MixturePipeline(open_mixture(data), "train", data=data, **shape)
    assert "\n" not in str(raised.value)
  with pytest.raises(ValueError, match="step=-1"):
    make(folder).batch(-1)
  with pytest.raises(ValueError, match="stride"):
    make(folder).batch(0, slice(0, 8, 2))
