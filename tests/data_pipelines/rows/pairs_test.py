# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Laws of pairs: true continuations, random partners, truncation."""

import numpy as np
import pytest

from bertjax.config import PAIR_CLASSES
from data_pipelines.host_rng import HostRng
from data_pipelines.rows import pairs
from data_pipelines.rows.examples import read_text
from data_pipelines.store.layout import LENGTH
from tests.testing import synthetic
from tests.testing.plans import (
  LENGTHS,
  make_planner,
  objective,
  plan,
  segments,
)


@pytest.mark.parametrize("form", ["segment_pair", "sentence_pair"])
def test_a_random_second_segment_is_of_another_document(form, split, where):
  _, document_of = where
  seen = 0
  for block in range(split.num_blocks):
    examples = plan(split, block, objective(form, "nsp"), 64)
    for label, found in zip(examples.labels_E, segments(examples), strict=True):
      (kind_a, first), (kind_b, second) = found
      assert (kind_a, kind_b) == (0, 1)
      same = document_of[first[0]] == document_of[second[0]]
      assert same == (label == 0)
      seen += label
    assert examples.random_examples == (examples.labels_E == 1).sum()
  assert seen > 100


def test_partners_are_drawn_evenly_from_the_other_documents(split):
  rng = HostRng("partners")
  own_documents = np.repeat(np.arange(split.num_documents), 100)
  address, length = pairs._draw_partners(
    split, own_documents, np.full(len(own_documents), 20), rng
  )
  _, document_of = synthetic.places(split)
  drawn = document_of[address]
  assert (drawn != own_documents).all()
  counts = np.bincount(drawn, minlength=split.num_documents)
  # Chi-squared with 399 degrees of freedom: mean 399, deviation 28.
  assert ((counts - 100) ** 2 / 100).sum() < 399 + 5 * 28
  starts = np.isin(address, _sentence_starts(split))
  assert starts.all()
  ends = np.isin(address + length, np.append(_sentence_starts(split), 0))
  assert ends[address + length < split.num_tokens].all()
  assert (document_of[address + length - 1] == drawn).all()


def _sentence_starts(split):
  lengths = (split.sentences & LENGTH).astype(np.int64)
  return np.cumsum(lengths) - lengths


def literal_pairs(split, block, chosen, budget, rng):
  """create_instances_from_document of google-research/bert, as it reads.

  Yields the first sentence, the number of sentences of A, of the chunk, and
  whether B is random. Chances are taken from `rng` by first sentence.
  """
  text = read_text(split, block)
  size = len(text.length_N)
  coins = rng.uniform("random", size)
  splits = rng.random_words("middle", size) >> np.uint64(32)
  short = rng.uniform("short", len(text.own_D)) < chosen.short_rate
  target_of = 2 + rng.integers("target", np.full(len(text.own_D), budget - 1))
  for document in range(len(text.own_D)):
    target = int(target_of[document]) if short[document] else budget
    numbers = np.flatnonzero(text.document_N == document).tolist()
    chunk, length, at = [], 0, 0
    while at < len(numbers):
      chunk.append(numbers[at])
      length += int(text.length_N[numbers[at]])
      if at == len(numbers) - 1 or length >= target:
        a_end = 1
        if len(chunk) >= 2:
          a_end = 1 + (int(splits[chunk[0]]) * (len(chunk) - 1) >> 32)
        is_random = len(chunk) == 1 or coins[chunk[0]] < 0.5
        if is_random:
          at -= len(chunk) - a_end
        yield chunk[0], a_end, len(chunk), bool(is_random)
        chunk, length = [], 0
      at += 1


@pytest.mark.parametrize("short_rate", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("seq_length", LENGTHS)
def test_pairs_equal_the_reference_read_literally(
  seq_length, short_rate, split
):
  chosen = objective("segment_pair", "nsp", short_rate)
  text = read_text(split, 1)
  rng = HostRng("a", 0, 0, 1)
  spans = pairs._choose_spans(text, chosen, seq_length - 3, rng)
  literal = list(literal_pairs(split, 1, chosen, seq_length - 3, rng))
  assert literal == [
    (int(first), int(middle - first), int(stop - first), bool(random))
    for first, middle, stop, _, random in zip(*spans, strict=True)
  ]


def test_half_of_the_pairs_are_random_and_all_that_have_no_choice(split):
  chosen = objective("segment_pair", "nsp")
  found = [
    (chunk, is_random)
    for epoch in range(4)
    for block in range(split.num_blocks)
    for _, _, chunk, is_random in literal_pairs(
      split, block, chosen, 61, HostRng("a", 0, epoch, block)
    )
  ]
  labels = np.concatenate(
    [
      plan(split, block, chosen, 64, epoch=epoch).labels_E
      for epoch in range(4)
      for block in range(split.num_blocks)
    ]
  )
  alone = np.mean([chunk == 1 for chunk, _ in found])
  assert 0.01 < alone < 0.5
  # facts: P(random) = 0.5 + 0.5 P(k = 1), within five standard deviations.
  bound = 5 * 0.5 * np.sqrt((1 - alone) / len(labels))
  assert abs(labels.mean() - (0.5 + 0.5 * alone)) < bound
  assert set(labels.tolist()) == {0, 1}


def literal_truncation(length_a, length_b, budget):
  """Lengths after truncate_seq_pair of the reference."""
  while length_a + length_b > budget:
    if length_a > length_b:
      length_a -= 1
    else:
      length_b -= 1
  return length_a, length_b


def test_truncation_equals_the_reference_token_by_token():
  lengths = np.array([(a, b) for a in range(1, 24) for b in range(24)])
  for budget in (5, 13, 40):
    left = lengths - pairs._truncate(lengths, budget)
    literal = [literal_truncation(int(a), int(b), budget) for a, b in lengths]
    np.testing.assert_array_equal(left, literal)


@pytest.mark.parametrize("form", ["segment_pair", "sentence_pair"])
@pytest.mark.parametrize("task", ["off", "sop"])
def test_a_true_continuation_continues(form, task, split, where):
  sentence_of, document_of = where
  swapped = 0
  for block in range(split.num_blocks):
    examples = plan(split, block, objective(form, task), 512)
    for label, found in zip(examples.labels_E, segments(examples), strict=True):
      if len(found) == 1:
        # Nothing follows: the last sentence of its document.
        last = sentence_of[found[0][1][-1]]
        assert last + 1 in split.documents
        assert label == -1
        continue
      (_, first), (_, second) = found if label != 1 else found[::-1]
      assert document_of[first[0]] == document_of[second[0]]
      assert second[0] > first[-1]
      if 3 + len(first) + len(second) < 512:
        assert second[0] == first[-1] + 1  # where nothing had to be cut
      assert label in ((-1,) if task == "off" else (0, 1))
      swapped += label == 1
  if task == "sop":
    assert swapped > 50


def test_nsp_needs_two_documents(tmp_path):
  made = synthetic.make_store(tmp_path / "one", {"train": [[5] * 40]})
  with pytest.raises(ValueError, match="needs two"):
    make_planner(made, objective("segment_pair", "nsp"), 64)
  make_planner(made, objective("segment_pair", "off"), 64)


def test_a_pair_objective_is_a_line_of_the_table(split, where, monkeypatch):
  """Three ways, as in StructBERT (Wang et al., 2020, section 2.3)."""
  three = pairs.PairObjective(
    ("next", "swapped", "random"), random_rate=1 / 3, swap_rate=1 / 2
  )
  monkeypatch.setattr(pairs, "PAIR_OBJECTIVES", {"three": three})
  _, document_of = where
  chosen = objective("segment_pair", "three", 0.0)
  labels = []
  for block in range(split.num_blocks):
    examples = plan(split, block, chosen, 64)
    first = examples.address_K[np.cumsum(examples.segments_E) - 2]
    second = examples.address_K[np.cumsum(examples.segments_E) - 1]
    random = document_of[first] != document_of[second]
    assert (examples.segments_E == 2).all()
    np.testing.assert_array_equal(random, examples.labels_E == 2)
    np.testing.assert_array_equal(
      ~random & (second < first), examples.labels_E == 1
    )
    labels.append(examples.labels_E)
  shares = np.bincount(np.concatenate(labels), minlength=3)
  assert 0.8 < shares[0] / shares[1] < 1.25
  assert shares[2] > 0.3 * shares.sum()


def test_rows_have_the_labels_that_the_pair_head_has_classes_for():
  labels = {name: pair.labels for name, pair in pairs.PAIR_OBJECTIVES.items()}
  assert labels == PAIR_CLASSES
