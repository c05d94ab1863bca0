# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Laws of planned examples, over every format and task.

Tokens tell their place (see `synthetic`), so nothing about an example has to
be believed.
"""

import dataclasses
import itertools

import numpy as np
import pytest

from bertjax.config import ObjectiveConfig
from data_pipelines.host_rng import HostRng
from data_pipelines.rows import pairs
from data_pipelines.rows.examples import count_front, read_text
from data_pipelines.rows.planner import Planner, plan_examples
from data_pipelines.store.layout import LENGTH
from data_pipelines.store.ranges import flatten_ranges
from tests.testing import synthetic

CELLS = [
  ("segment_pair", "nsp"),
  ("segment_pair", "off"),
  ("segment_pair", "sop"),
  ("sentence_pair", "nsp"),
  ("sentence_pair", "off"),
  ("sentence_pair", "sop"),
  ("full_sentences", "off"),
  ("doc_sentences", "off"),
]
LENGTHS = (16, 64, 512)


@pytest.fixture(scope="module")
def split(tmp_path_factory):
  documents = synthetic.draw_documents(400)
  documents[11] = np.array([300, 2, 700, 1, 40])
  return synthetic.make_store(
    tmp_path_factory.mktemp("rows") / "made",
    {"train": documents},
    block_tokens=10_000,
    record_tokens=1_000,
  ).split("train")


@pytest.fixture(scope="module")
def where(split):
  return synthetic.places(split)


def objective(form, task, short_rate=0.1):
  return ObjectiveConfig(
    input_format=form, next_sentence=task, short_rate=short_rate
  )


def plan(split, block, chosen, seq_length, seed=0, epoch=0):
  return plan_examples(
    split, block, chosen, seq_length, HostRng("a", seed, epoch, block)
  )


def make_planner(store, chosen, seq_length):
  return Planner(
    store,
    "train",
    objective=chosen,
    seq_length=seq_length,
    max_packs=1,
    seed=0,
  )


def segments(examples):
  """Per example its segments as (type, addresses of its tokens)."""
  ends = np.cumsum(examples.segments_E)
  return [
    [
      (
        int(examples.type_K[k]),
        np.arange(
          examples.address_K[k], examples.address_K[k] + examples.length_K[k]
        ),
      )
      for k in range(end - count, end)
    ]
    for end, count in zip(ends, examples.segments_E, strict=True)
  ]


def own(examples):
  """Addresses of own text, per example: all but a random second segment."""
  return [
    np.concatenate([at for kind, at in found if not (label == 1 and kind == 1)])
    for label, found in zip(examples.labels_E, segments(examples), strict=True)
  ]


@pytest.mark.parametrize("seq_length", LENGTHS)
@pytest.mark.parametrize(("form", "task"), CELLS)
def test_each_sentence_is_own_text_of_one_example(
  form, task, seq_length, split
):
  chosen = objective(form, task)
  cut = 0
  times = np.zeros(split.num_tokens, np.int64)
  for block in range(split.num_blocks):
    examples = plan(split, block, chosen, seq_length)
    cut += examples.truncated
    # sop swaps its own sentences: there both segments are own text.
    texts = (
      own(examples)
      if task != "sop"
      else [
        np.concatenate([at for _, at in found]) for found in segments(examples)
      ]
    )
    for text in texts:
      times[text] += 1
  assert times.max() == 1
  assert cut == (times == 0).sum()


@pytest.mark.parametrize("seq_length", LENGTHS)
@pytest.mark.parametrize(("form", "task"), CELLS)
def test_examples_fit_and_hold_whole_segments(
  form, task, seq_length, split, where
):
  _, document_of = where
  for block in range(split.num_blocks):
    examples = plan(split, block, objective(form, task), seq_length)
    lengths = examples.lengths()
    assert lengths.max() <= seq_length
    assert (examples.length_K >= 1).all()
    for length, found in zip(lengths, segments(examples), strict=True):
      assert length == 1 + sum(len(at) + 1 for _, at in found)
      for _, at in found:
        assert len(set(document_of[at])) == 1
    assert len(set(examples.ids_E)) == len(examples.ids_E)


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


@pytest.mark.parametrize("form", ["full_sentences", "doc_sentences"])
def test_no_example_could_take_another_sentence(form, split, where):
  sentence_of, document_of = where
  lengths = (split.sentences & LENGTH).astype(np.int64)
  chosen = objective(form, "off", short_rate=0.0)
  for block in range(split.num_blocks):
    examples = plan(split, block, chosen, 64)
    found = segments(examples)
    assert (examples.type_K == 0).all()
    assert (examples.labels_E == -1).all()
    for number, (here, after) in enumerate(itertools.pairwise(found)):
      last, following = here[-1][1][-1], after[0][1][0]
      crosses = document_of[last] != document_of[following]
      if form == "doc_sentences" and crosses:
        continue
      more = lengths[sentence_of[following]] + crosses
      assert examples.lengths()[number] + more > 64
    if form == "doc_sentences":
      assert (examples.segments_E == 1).all()


def test_full_sentences_read_documents_whole_in_another_order_each_epoch(
  split, where
):
  _, document_of = where
  orders = []
  for epoch in (0, 1):
    examples = plan(
      split, 0, objective("full_sentences", "off"), 64, epoch=epoch
    )
    documents = document_of[examples.address_K]
    changes = documents[np.flatnonzero(np.diff(documents, prepend=-1))]
    assert len(set(changes)) == len(changes) == split.blocks[1, 0]
    orders.append(changes.tolist())
  assert orders[0] != orders[1]
  assert orders[0] != sorted(orders[0])


@pytest.mark.parametrize(("form", "task"), CELLS)
def test_a_plan_follows_from_its_draws_alone(form, task, split):
  chosen = objective(form, task)
  same, again, other = (
    plan(split, 2, chosen, 64, epoch=epoch) for epoch in (0, 0, 1)
  )
  for field in dataclasses.fields(same):
    left, right = (getattr(each, field.name) for each in (same, again))
    np.testing.assert_array_equal(left, right)
  if (form, task) != ("sentence_pair", "off"):  # where nothing is random
    assert any(
      not np.array_equal(getattr(same, name), getattr(other, name))
      for name in ("address_K", "length_K", "labels_E")
    )


def test_short_examples_are_as_frequent_as_asked(split):
  def mean_length(short_rate):
    chosen = objective("doc_sentences", "off", short_rate)
    return np.mean(
      np.concatenate(
        [
          plan(split, block, chosen, 64).lengths()
          for block in range(split.num_blocks)
        ]
      )
    )

  full, some, short = mean_length(0.0), mean_length(0.1), mean_length(1.0)
  assert short < 0.75 * full
  assert short < some < full


@pytest.mark.parametrize(
  ("changes", "seq_length", "message"),
  [
    ({"input_format": "words"}, 64, "input_format='words'"),
    ({"next_sentence": "maybe"}, 64, "next_sentence='maybe'"),
    ({"input_format": "full_sentences"}, 64, "needs pairs"),
    ({"short_rate": 1.5}, 64, r"short_rate=1\.5"),
    ({}, 7, "seq_length=7"),
  ],
)
def test_impossible_rows_are_refused_in_one_line(
  changes, seq_length, message, tmp_path
):
  made = synthetic.make_store(tmp_path / "two", {"train": [[5] * 40] * 2})
  with pytest.raises(ValueError, match=message) as raised:
    make_planner(made, ObjectiveConfig(**changes), seq_length)
  assert "\n" not in str(raised.value)


def test_nsp_needs_two_documents(tmp_path):
  made = synthetic.make_store(tmp_path / "one", {"train": [[5] * 40]})
  with pytest.raises(ValueError, match="needs two"):
    make_planner(made, objective("segment_pair", "nsp"), 64)
  make_planner(made, objective("segment_pair", "off"), 64)


def test_ranges_flatten_as_a_loop_would():
  starts, counts = np.array([5, 0, 9, 2]), np.array([2, 0, 3, 1])
  assert flatten_ranges(starts, counts).tolist() == [5, 6, 9, 10, 11, 2]
  assert flatten_ranges(starts[:0], counts[:0]).tolist() == []
