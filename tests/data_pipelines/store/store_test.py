# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Laws of the store: what goes in comes out, and damage is named."""

import json
import pickle
import shutil

import numpy as np
import pytest

from data_pipelines.store.layout import LENGTH, MARKED
from data_pipelines.store.manifest import commit
from data_pipelines.store.store import open_store
from data_pipelines.store.store_writer import SplitWriter
from tests.testing import synthetic


@pytest.fixture
def copied(made, tmp_path):
  return shutil.copytree(made.path, tmp_path / "copy")


def test_tokens_sentences_and_documents_come_back(made, documents):
  split = made.split("train")
  tokens = np.concatenate(
    [synthetic.read_block(split, k) for k in range(split.num_blocks)]
  )
  total = sum(int(lengths.sum()) for lengths in documents)
  np.testing.assert_array_equal(tokens, np.arange(total) + synthetic.FIRST)
  np.testing.assert_array_equal(split.sentences, np.concatenate(documents))
  np.testing.assert_array_equal(
    np.diff(split.documents), [len(lengths) for lengths in documents]
  )
  assert split.num_tokens == total
  assert made.manifest.splits["train"].tokens == total


def test_every_sentence_has_its_address(made):
  split = made.split("train")
  lengths = (split.sentences & LENGTH).astype(np.int64)
  assert split.num_sentences > 3 * MARKED
  order = np.random.RandomState(0).permutation(split.num_sentences)
  expected = np.cumsum(lengths) - lengths
  np.testing.assert_array_equal(split.addresses(order), expected[order])
  assert split.addresses(order[:0]).shape == (0,)
  assert len(split.marks) == -(-split.num_sentences // MARKED)


def test_token_counts_count_the_training_split(tmp_path):
  folder = tmp_path / "counts"
  folder.mkdir()
  rng = np.random.default_rng(0)
  ids = rng.integers(0, 50, 4000)
  splits = {}
  for name, part in (("train", ids), ("validation", ids[:10])):
    writer = SplitWriter(folder, name, 50, block_tokens=500)
    for document in np.split(part, range(400, len(part), 400)):
      synthetic.add_document(writer, [document[:100], [], document[100:]])
    splits[name] = writer.finish()
  made = synthetic.finish_store(folder, splits, 50)
  np.testing.assert_array_equal(
    made.token_counts(), np.bincount(ids, minlength=50)
  )
  assert made.vocab_size == 50
  assert made.special_ids == synthetic.SPECIALS


def test_an_empty_split_is_refused_when_it_is_asked_for(tmp_path):
  made = synthetic.make_store(
    tmp_path / "empty", {"train": [[3]], "validation": []}
  )
  with pytest.raises(ValueError, match=r"split 'validation' .* is empty"):
    made.split("validation")
  with pytest.raises(ValueError, match="no split 'test'"):
    made.split("test")


def _damage(folder, name):
  """Breaks a store in one way; returns the file that an error must name."""
  manifest = folder / "manifest.json"
  shard = sorted(folder.glob("train-*.array_record"))[1]
  index = folder / "train.sentences.npy"
  if name == "no manifest":
    manifest.unlink()
    return folder
  if name == "not json":
    manifest.write_text("{")
    return manifest
  if name in {"other format", "other version", "a list"}:
    parsed = json.loads(manifest.read_text())
    key = "format" if name == "other format" else "version"
    parsed = [] if name == "a list" else {**parsed, key: "x"}
    manifest.write_text(json.dumps(parsed))
    return manifest
  broken = shard if "shard" in name else index
  if name.startswith("missing"):
    broken.unlink()
  else:
    broken.write_bytes(broken.read_bytes()[:-1])
  return broken


@pytest.mark.parametrize(
  "name",
  [
    "no manifest",
    "not json",
    "a list",
    "other format",
    "other version",
    "missing shard",
    "truncated shard",
    "missing index",
    "truncated index",
  ],
)
def test_a_damaged_store_is_refused_in_one_line_that_names_the_file(
  name, copied
):
  path = _damage(copied, name)
  with pytest.raises(ValueError, match=r".") as raised:
    open_store(copied)
  message = str(raised.value)
  assert str(path) in message
  assert "\n" not in message


def test_a_flipped_byte_is_found_when_it_is_read(copied):
  shard = sorted(copied.glob("train-*.array_record"))[1]
  data = bytearray(shard.read_bytes())
  data[len(data) // 2] ^= 1
  shard.write_bytes(data)
  opened = open_store(copied)
  with pytest.raises(ValueError, match=shard.name):
    opened.verify()
  split = opened.split("train")
  with pytest.raises(ValueError, match=shard.name) as raised:
    split.read_records(range(split.num_records))
  assert "\n" not in str(raised.value)


@pytest.fixture
def replaced(copied, limits):
  """An open store, whose files are those of another since."""
  opened = open_store(copied).split("train")
  expected = [tokens.copy() for tokens in opened.read_records([0, 1])]
  shutil.rmtree(copied)
  other = [lengths + 1 for lengths in synthetic.draw_documents(60, seed=9)]
  synthetic.make_store(copied, {"train": other}, **limits)
  return opened, expected


def test_tokens_are_never_those_of_a_store_that_took_the_place(replaced):
  opened, expected = replaced
  raised = 0
  shards = opened._starts
  for record in range(opened.num_records):
    if record < shards[1]:  # of the shard that is open already
      tokens = opened.read_records([record])[0]
      if record < 2:
        np.testing.assert_array_equal(tokens, expected[record])
      continue
    # Where records of both stores are equally long nobody can tell.
    error = error_of(opened, record)
    if error:
      assert "the store was replaced or damaged while it was in use" in error
      assert "\n" not in error
      raised += 1
  assert raised > 0.9 * (opened.num_records - shards[1])


def error_of(split, record):
  """What reading a record says; "" if it says nothing."""
  try:
    split.read_records([record])
  except ValueError as error:
    return str(error)
  return ""


def test_a_shard_of_another_size_is_refused_when_it_is_opened(copied):
  opened = open_store(copied).split("train")
  shard = sorted(copied.glob("train-*.array_record"))[-1]
  shard.write_bytes(shard.read_bytes() * 2)
  with pytest.raises(
    ValueError, match=f"{shard.name} is .* bytes long; .*repl"
  ):
    opened.read_records([opened.num_records - 1])


def test_another_process_does_not_open_another_store(replaced, copied):
  opened, _ = replaced
  message = r"manifest\.json is of store .*, not of .*: the store was replaced"
  with pytest.raises(ValueError, match=message):
    pickle.loads(pickle.dumps(opened))
  shutil.rmtree(copied)
  with pytest.raises(ValueError, match="is missing, not of"):
    pickle.loads(pickle.dumps(opened))


def test_no_flipped_bit_of_a_shard_passes_unseen(copied):
  """A read raises and names the shard, or the bit was in no record."""
  shard = sorted(copied.glob("train-*.array_record"))[1]
  whole = shard.read_bytes()
  split = open_store(copied).split("train")
  expected = [tokens.tobytes() for tokens in split.read_records(range(30))]
  rng = np.random.default_rng(0)
  # Most of so small a file is padding, whose bits matter to nobody.
  places = np.concatenate(
    (rng.integers(0, 6000, 120), rng.integers(0, len(whole), 80))
  )
  errors = []
  for place in places.tolist():
    data = bytearray(whole)
    data[place] ^= 1 << int(rng.integers(8))
    shard.write_bytes(data)
    split = open_store(copied).split("train")
    for record, tokens in enumerate(expected):
      try:
        assert split.read_records([record])[0].tobytes() == tokens
      except ValueError as error:
        errors.append(str(error))
  assert len(errors) > 50
  assert all(shard.name in error for error in errors)


@pytest.mark.parametrize("kept", [0, 100, 5000])
def test_a_shard_cut_short_after_opening_is_named(kept, copied):
  shard = sorted(copied.glob("train-*.array_record"))[1]
  split = open_store(copied).split("train")
  shard.write_bytes(shard.read_bytes()[:kept])
  with pytest.raises(ValueError, match=shard.name) as raised:
    split.read_records(range(split.num_records))
  assert "\n" not in str(raised.value)


def test_verify_accepts_what_was_written(made):
  made.verify()


def test_another_tokenizer_is_refused(made):
  made.check_tokenizer("0" * 64)
  with pytest.raises(ValueError, match="was made with tokenizer 0000"):
    made.check_tokenizer("f" * 64)


def test_commit_renames_a_finished_store_and_nothing_else(copied, tmp_path):
  output = tmp_path / "output"
  unfinished = tmp_path / "unfinished"
  unfinished.mkdir()
  with pytest.raises(ValueError, match=r"has no manifest\.json"):
    commit(unfinished, output)
  commit(copied, output)
  assert not copied.exists()
  open_store(output)
  shutil.copytree(output, copied)
  with pytest.raises(ValueError, match="exists already"):
    commit(copied, output)


def test_the_manifest_knows_no_place_and_no_time(made):
  text = (made.path / "manifest.json").read_text()
  assert str(made.path) not in text
  assert str(made.path.parent) not in text
  assert set(json.loads(text)) == {
    "format",
    "version",
    "source",
    "tokenizer",
    "splits",
  }


def test_a_pickled_split_reads_the_same(made):
  split = made.split("train")
  split.read_records([0])
  copy = pickle.loads(pickle.dumps(split))
  np.testing.assert_array_equal(
    synthetic.read_block(copy, 1), synthetic.read_block(split, 1)
  )
