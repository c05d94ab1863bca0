# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What a store costs before its first batch does not grow with it."""

import dataclasses
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from bertjax.config import DataConfig, ObjectiveConfig
from data_pipelines.rows.pipeline import PretrainingPipeline
from data_pipelines.store import store as store_module
from data_pipelines.store.layout import MARKED
from data_pipelines.store.store import Split, open_store
from data_pipelines.store.store_writer import SplitWriter
from tests.testing import synthetic

SHARDS = 1000
SENTENCES = 100_000_000
LENGTH = 20  # tokens of a sentence
IN_DOCUMENT = 5_000  # sentences
IN_RECORD = 400  # sentences
MEGABYTE = 1 << 20


def make(store, batch_size, cell=("segment_pair", "nsp")):
  form, task = cell
  return PretrainingPipeline(
    store,
    "train",
    objective=ObjectiveConfig(input_format=form, next_sentence=task),
    data=DataConfig(seq_length=128),
    batch_size=batch_size,
    seed=0,
  )


@pytest.fixture(scope="module")
def many_shards(tmp_path_factory):
  """A block a shard."""
  documents = [[10] * 15] * SHARDS
  made = synthetic.make_store(
    tmp_path_factory.mktemp("start") / "many",
    {"train": documents},
    block_tokens=150,
    shard_tokens=1,
  )
  assert made.split("train").num_shards > 0.99 * SHARDS
  return made.path


def test_the_first_batch_opens_the_shards_of_its_rows(many_shards, monkeypatch):
  read = set()
  real = Split.read_records
  monkeypatch.setattr(
    Split,
    "read_records",
    lambda self, records: read.update(records) or real(self, records),
  )
  store = open_store(many_shards)
  assert len(store.split("train")._readers) == 0
  pipeline = make(store, 8)
  assert len(store.split("train")._readers) == 0  # planned from the index alone
  pipeline.batch(0)
  assert len(store.split("train")._readers) <= len(read) < 60


def test_open_shards_leave_file_descriptors_to_others(many_shards, monkeypatch):
  monkeypatch.setattr(store_module, "_max_open_shards", lambda: 16)
  store = open_store(many_shards)
  split = store.split("train")
  before = len(os.listdir("/proc/self/fd"))
  split.read_records(range(0, split.num_records, 7))
  assert len(split._readers) == 16
  assert len(os.listdir("/proc/self/fd")) - before <= 20
  expected = open_store(many_shards).split("train")
  for record in (0, 900, 3, 900, 500):
    np.testing.assert_array_equal(
      split.read_records([record])[0], expected.read_records([record])[0]
    )


def _write_sparse(path, shape, dtype):
  """An index file of zeros that takes no room on disk."""
  with path.open("wb") as file:
    np.lib.format.write_array_header_1_0(
      file,
      {
        "descr": np.lib.format.dtype_to_descr(np.dtype(dtype)),
        "fortran_order": False,
        "shape": shape,
      },
    )
    start = file.tell()
    file.truncate(start + int(np.prod(shape)) * np.dtype(dtype).itemsize)
  return np.memmap(path, dtype, "r+", start, shape)


@pytest.fixture(scope="module")
def huge(tmp_path_factory):
  """100 M sentences, of which only the index exists: most of it is holes."""
  folder = tmp_path_factory.mktemp("start") / "huge"
  folder.mkdir()
  writer = SplitWriter(folder, "train", 1000)
  synthetic.add_document(writer, [[9] * LENGTH])
  entry = writer.finish()
  documents = SENTENCES // IN_DOCUMENT
  records = SENTENCES // IN_RECORD
  blocks = documents // 10
  _write_sparse(folder / "train.sentences.npy", (SENTENCES,), np.uint16)
  marks = -(-SENTENCES // MARKED)
  _write_sparse(folder / "train.marks.npy", (marks,), np.int64)
  np.save(
    folder / "train.documents.npy", np.arange(documents + 1) * IN_DOCUMENT
  )
  first = np.arange(records + 1) * IN_RECORD
  np.save(folder / "train.records.npy", np.stack((first, first * LENGTH)))
  at = np.arange(blocks + 1)[:, None] * 10
  each = (1, IN_DOCUMENT // IN_RECORD, IN_DOCUMENT, IN_DOCUMENT * LENGTH)
  index = at * each
  index[:-1, 3] = 0  # a sentence in a hole has no tokens
  np.save(folder / "train.blocks.npy", index)
  entry = dataclasses.replace(
    entry,
    sentences=SENTENCES,
    documents=documents,
    records=records,
    blocks=blocks,
    tokens=SENTENCES * LENGTH,
    shards=(dataclasses.replace(entry.shards[0], records=records),),
    index={
      part: dataclasses.replace(file, bytes=(folder / file.name).stat().st_size)
      for part, file in entry.index.items()
    },
  )
  synthetic.finish_store(folder, {"train": entry}, 1000)
  return folder


_PLAN = """
import json, sys
import numpy as np
from bertjax.config import ObjectiveConfig
from data_pipelines.rows.examples import read_text
from data_pipelines.rows.lanes import Lanes
from data_pipelines.rows.planner import Planner
from data_pipelines.store.store import open_store

def resident(kind="VmRSS"):
  with open("/proc/self/status") as status:
    (line,) = (line for line in status if line.startswith(kind))
  return int(line.split()[1]) << 10

before, own = resident(), resident("RssAnon")
store = open_store(sys.argv[1])
split = store.split("train")
read_text(split, 0)  # numpy's own code is loaded
opened = resident()
if sys.argv[2] == "whole":
  int(split.sentences.sum(dtype=np.int64) + split.marks.sum(dtype=np.int64))
  grown = resident() - opened
else:
  planner = Planner(
    store, "train", objective=ObjectiveConfig(next_sentence="nsp"),
    seq_length=128, max_packs=2, seed=0)
  order = planner.block_order(0)
  for block in order[:8].tolist():
    text = read_text(split, block)
  grown = resident() - opened
  # Partners lie anywhere; the kernel maps some pages of its cache around each.
  at = np.random.default_rng(0).integers(0, split.num_sentences, 2000)
  split.addresses(at)
own = resident("RssAnon") - own
print(json.dumps([split.num_sentences, opened - before, grown, own]))
"""


def _grown(folder, mode):
  done = subprocess.run(
    [sys.executable, "-c", _PLAN, str(folder), mode],
    check=True,
    capture_output=True,
    text=True,
  )
  sentences, *grown = json.loads(done.stdout)
  assert sentences == SENTENCES
  return grown


def test_an_index_of_a_hundred_million_sentences_is_never_read_whole(huge):
  opening, reading, own = _grown(huge, "some")
  # Whole they are 225 MB.
  assert opening < 40 * MEGABYTE
  assert reading < 30 * MEGABYTE
  assert own < 60 * MEGABYTE
  # The measure sees what it should.
  assert _grown(huge, "whole")[1] > 200 * MEGABYTE
