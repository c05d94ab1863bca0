# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Laws of writing: blocks, records, shards, and the bytes on disk."""

import errno
import pathlib

import numpy as np
import pytest

from data_pipelines.store import store_writer
from data_pipelines.store.layout import CONTINUES, LENGTH
from data_pipelines.store.store_writer import SplitWriter
from tests.testing import synthetic


def test_blocks_hold_whole_documents_and_records_whole_sentences(made, limits):
  split = made.split("train")
  document, record, sentence, token = split.blocks.T
  assert split.num_blocks > 5
  np.testing.assert_array_equal(split.documents[document], sentence)
  np.testing.assert_array_equal(split.records[:, record], [sentence, token])
  lengths = split.sentences & LENGTH
  for number, tokens in enumerate(split.read_records(range(split.num_records))):
    first, last = split.records[0, number : number + 2]
    assert lengths[first:last].sum() == len(tokens) <= limits["record_tokens"]
    assert tokens[0] == split.records[1, number] + synthetic.FIRST


def test_blocks_are_about_as_large_as_asked_and_the_last_is_no_crumb(
  made, limits
):
  split = made.split("train")
  sizes = np.diff(split.blocks[:, 3])
  documents = np.diff(split.blocks[:, 0])
  block = limits["block_tokens"]
  assert (sizes[documents > 1] <= 1.5 * block).all()
  assert sizes[-1] > block / 2
  assert (documents[sizes > 1.5 * block] == 1).all()
  assert (sizes > 1.5 * block).any()


@pytest.mark.parametrize("count", range(1, 40, 3))
def test_no_block_is_a_crumb_and_none_is_too_large(count, tmp_path):
  made = synthetic.make_store(
    tmp_path / "even", {"train": [[10] * 10] * count}, block_tokens=1000
  )
  sizes = np.diff(made.split("train").blocks[:, 3])
  assert sizes.sum() == 100 * count
  assert sizes.max() <= 1500
  assert sizes.min() >= min(500, 100 * count)


def test_equal_documents_give_equal_bytes(made, documents, limits, tmp_path):
  again = synthetic.make_store(
    tmp_path / "again",
    {"train": documents, "validation": documents[:5]},
    **limits,
  )
  names = sorted(path.name for path in made.path.iterdir())
  assert names == sorted(path.name for path in again.path.iterdir())
  assert sum(name.endswith(".array_record") for name in names) > 2
  for name in names:
    assert (made.path / name).read_bytes() == (again.path / name).read_bytes()
  assert made.sha256 == again.sha256


def test_shards_change_no_token(made, documents, limits, tmp_path):
  one = synthetic.make_store(
    tmp_path / "one", {"train": documents}, **{**limits, "shard_tokens": 10**9}
  ).split("train")
  many = made.split("train")
  assert len(list(made.path.glob("train-*.array_record"))) > 1
  records = np.random.default_rng(0).permutation(many.num_records)
  for left, right in zip(
    one.read_records(records), many.read_records(records), strict=True
  ):
    np.testing.assert_array_equal(left, right)


def test_a_long_sentence_is_split_evenly_and_marked(tmp_path):
  made = synthetic.make_store(
    tmp_path / "long", {"train": [[3, 1300, 512], [513]]}
  )
  split = made.split("train")
  lengths = (split.sentences & LENGTH).tolist()
  marks = (split.sentences & CONTINUES) > 0
  assert lengths == [3, 433, 433, 434, 512, 256, 257]
  assert marks.tolist() == [False, False, True, True, False, False, True]
  assert split.documents.tolist() == [0, 5, 7]
  assert made.manifest.splits["train"].split_sentences == 2


def test_the_writer_refuses_what_it_cannot_store(tmp_path):
  writer = SplitWriter(tmp_path, "train", 100)
  # Ids are checked when their block is written.
  for document, outside in (([[1, 2], [100]], "100"), ([[-1]], "-1")):
    synthetic.add_document(writer, document)
    with pytest.raises(ValueError, match=f"token id {outside} is outside"):
      writer.finish()
  with pytest.raises(ValueError, match="sentences hold 2 tokens"):
    writer.add_flat(np.array([1, 2, 3]), np.array([1, 1]))
  synthetic.add_document(writer, [])
  synthetic.add_document(writer, [[], []])
  assert writer.finish().documents == 0


def test_a_token_takes_two_bytes_and_little_more(tmp_path):
  """With sentences of 24 tokens, as in books; the index included."""
  folder = tmp_path / "large"
  folder.mkdir()
  writer = SplitWriter(folder, "train", 8192)
  rng = np.random.default_rng(0)
  while writer._tokens < 14_000_000:
    lengths = rng.geometric(1 / 16, size=rng.geometric(1 / 100))
    writer.add_flat(rng.integers(0, 8192, lengths.sum()), lengths)
  entry = writer.finish()
  synthetic.finish_store(folder, {"train": entry}, 8192)
  size = sum(path.stat().st_size for path in folder.rglob("*"))
  assert size / entry.tokens <= 2.2


def test_a_full_disk_is_told_of_and_the_bytes_are_those_of_numpy(tmp_path):
  values = np.arange(100_000).reshape(2, -1)
  with pytest.raises(OSError) as error:  # noqa: PT011
    store_writer.save(pathlib.Path("/dev/full"), values)
  assert error.value.errno == errno.ENOSPC
  store_writer.save(tmp_path / "ours.npy", values)
  np.save(tmp_path / "numpy.npy", values)
  written = [
    (tmp_path / f"{name}.npy").read_bytes() for name in ("ours", "numpy")
  ]
  assert written[0] == written[1]
