# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import hashlib

import numpy as np
import pytest

from data_pipelines.prepare import spool
from data_pipelines.prepare.encoding import Encoded

DTYPE = np.dtype("<u2")


def make_document(number, prefix=b""):
  rng = np.random.RandomState(number)
  lengths = rng.randint(0, 9, size=rng.randint(1, 6))
  digest = hashlib.blake2b(bytes([number % 251, number // 251])).digest()
  return Encoded(
    (prefix + digest)[:16],
    rng.randint(0, 1000, lengths.sum()).astype(DTYPE),
    lengths.astype(np.int64),
    rng.randint(0, 99, (number % 3, 2)).astype(np.uint64),
  )


def same(one, two):
  return one.digest == two.digest and all(
    np.array_equal(a, b) for a, b in zip(one[1:], two[1:], strict=True)
  )


@pytest.mark.parametrize("limit", [500, 1 << 25])
@pytest.mark.parametrize("prefix", [b"", b"\x07" * 3])
def test_documents_come_sorted_and_whole_whatever_fits_in_memory(
  limit, prefix, tmp_path, monkeypatch
):
  monkeypatch.setattr(spool, "_MAX_BYTES", limit)
  held = spool.Spool(tmp_path / "spool", "corpus", DTYPE)
  made = [make_document(number, prefix) for number in range(100)]
  made += made[:20]  # equal documents stay as many as they are
  for document in made:
    held.add(document)
  held.flush()
  before = {path: path.read_bytes() for path in held.paths if path.exists()}
  expected = sorted(made, key=lambda document: document.digest)
  for _ in range(2):  # reading uses nothing up
    found = list(held.documents())
    assert len(found) == 120
    assert all(map(same, found, expected))
  left = {path for path in (tmp_path / "spool").rglob("*") if path.is_file()}
  assert left == set(before)
  assert sorted(held.digests()) == [document.digest for document in expected]


def test_a_bucket_larger_than_memory_is_never_read_at_once(
  tmp_path, monkeypatch
):
  monkeypatch.setattr(spool, "_MAX_BYTES", 2000)
  held = spool.Spool(tmp_path / "spool", "corpus", DTYPE)
  for number in range(600):
    held.add(make_document(number, b"\x07"))
  held.flush()
  assert max(p.stat().st_size for p in held.paths if p.exists()) > 20_000
  sorting = []

  def watched(records, key):
    sorting.append(sum(len(record) for _, record in records))
    return []

  monkeypatch.setitem(spool.__dict__, "sorted", watched)
  list(held.documents())
  assert sum(sorting) > 20_000
  assert max(sorting) <= 2000


def test_what_a_kill_left_of_a_cut_is_made_anew(tmp_path, monkeypatch):
  monkeypatch.setattr(spool, "_MAX_BYTES", 200)
  held = spool.Spool(tmp_path / "spool", "corpus", DTYPE)
  made = [make_document(number, b"\x07") for number in range(60)]
  for document in made:
    held.add(document)
  held.flush()
  reading = held.documents()
  next(reading)
  reading.close()
  assert any(path.suffix == ".parts" for path in (tmp_path / "spool").iterdir())
  expected = sorted(made, key=lambda document: document.digest)
  assert all(map(same, held.documents(), expected))


def test_copies_of_one_document_stream(tmp_path, monkeypatch):
  monkeypatch.setattr(spool, "_MAX_BYTES", 2000)
  held = spool.Spool(tmp_path / "spool", "corpus", DTYPE)
  document = make_document(4)
  for _ in range(300):
    held.add(document)
  held.flush()
  sorting = []

  def watched(records, key):
    sorting.extend(records)
    return []

  monkeypatch.setitem(spool.__dict__, "sorted", watched)
  found = list(held.documents())
  assert not sorting
  assert len(found) == 300
  assert all(same(document, each) for each in found)
