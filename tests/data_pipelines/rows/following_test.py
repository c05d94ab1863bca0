# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses

import numpy as np
import pytest

from data_pipelines.rows.following import NEGATIVES, plan_pairs_that_follow
from data_pipelines.store.store import Store, open_store
from data_pipelines.tokenizers.template import Template
from tests.testing import corpus

LENGTH = 17


@pytest.fixture(scope="module")
def store(tmp_path_factory):
  folder = tmp_path_factory.mktemp("following")
  return open_store(corpus.make_store(folder, most_lines=20))


@pytest.fixture(scope="module")
def pairs(store):
  return plan_pairs_that_follow(store, "train", pairs=200, seq_length=LENGTH)


def texts(store, features):
  """Return A and B of each row."""
  found = []
  special = store.special_ids
  for tokens, types in zip(
    features["tokens_BS"], features["types_BS"], strict=True
  ):
    used = tokens[tokens != special["pad"]]
    a, b = used[types[: len(used)] == 0], used[types[: len(used)] == 1]
    assert (a[0], a[-1], b[-1]) == (special["cls"], *[special["sep"]] * 2)
    found.append((tuple(a[1:-1]), tuple(b[:-1])))
  return found


def documents(store):
  split = store.split("train")
  tokens = np.concatenate(split.read_records(range(split.num_records)))
  begins = split.addresses(split.documents[:-1])
  return [tuple(each) for each in np.split(tokens, begins[1:])]


def test_a_pair_has_the_special_tokens_of_its_store(store):
  cls, sep = (store.special_ids[name] for name in ("cls", "sep"))
  entry = dataclasses.replace(
    store.manifest.tokenizer, template=Template.doubled(cls, sep).to_json()
  )
  manifest = dataclasses.replace(store.manifest, tokenizer=entry)
  other = Store(store.path, manifest, store.sha256)
  pairs = plan_pairs_that_follow(other, "train", pairs=20, seq_length=LENGTH)
  assert not pairs.features["types_BS"].any()
  full = pairs.features["packs_BS"].sum(axis=1)
  # As many tokens of text as fit beside four special ones.
  assert full.max() in (LENGTH, LENGTH - 1)
  for tokens, size in zip(pairs.features["tokens_BS"], full, strict=True):
    assert tokens[0] == cls
    ends = np.flatnonzero(tokens[:size] == sep)
    assert ends.tolist() == [ends[0], ends[0] + 1, size - 1]


def occurs(part, whole):
  size = len(part)
  return any(whole[i : i + size] == part for i in range(len(whole) - size + 1))


def test_b_stands_behind_its_a_where_it_follows(store, pairs):
  whole = documents(store)
  found = texts(store, pairs.features)
  for a, b in found[: len(pairs.part_P)]:
    assert any(occurs(a + b, each) for each in whole)
    assert len(a) + len(b) + 3 <= LENGTH


@pytest.mark.parametrize("negative", NEGATIVES)
def test_neither_text_alone_tells_the_label(store, pairs, negative):
  found = texts(store, pairs.features)
  rows_N, label_N, part_N = pairs.rows(negative)
  for part in range(3):
    follows, others = (
      [found[row] for row in rows_N[(label_N == label) & (part_N == part)]]
      for label in (1, 0)
    )
    assert len(follows) == len(others) > 0
    for side in (0, 1):
      assert sorted(each[side] for each in follows) == sorted(
        each[side] for each in others
      )


def test_negatives_are_of_the_same_document_or_of_another(store, pairs):
  """By where they are, because short texts occur in several documents."""
  size = len(pairs.part_P)
  tokens_BS = pairs.features["tokens_BS"]
  same, other = tokens_BS[size : 2 * size], tokens_BS[2 * size :]
  assert (same != tokens_BS[:size]).any(axis=1).mean() > 0.8
  assert (other != tokens_BS[:size]).any(axis=1).mean() > 0.8
  whole = documents(store)
  for a, b in texts(
    store,
    {
      "tokens_BS": same,
      "types_BS": pairs.features["types_BS"][size : 2 * size],
    },
  ):
    assert any(occurs(a, each) and occurs(b, each) for each in whole)


def test_the_draw_is_fixed_and_has_no_more_than_asked(store, pairs):
  again = plan_pairs_that_follow(store, "train", pairs=200, seq_length=LENGTH)
  for name, array in pairs.features.items():
    np.testing.assert_array_equal(array, again.features[name])
  other = plan_pairs_that_follow(
    store, "train", pairs=200, seq_length=LENGTH, seed=1
  )
  assert other.features["tokens_BS"].tobytes() != (
    pairs.features["tokens_BS"].tobytes()
  )
  assert len(pairs.part_P) <= 100 + pairs.documents
  assert np.bincount(pairs.part_P).argmax() == 0


def test_too_few_documents_are_told(store):
  with pytest.raises(ValueError, match=r"0 documents .*probes.pairs=0"):
    plan_pairs_that_follow(store, "train", pairs=20, seq_length=2000)
