# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Segment pairs are distributed as those of google-research/bert.

Against a simulation with chances of its own, which knows documents as lists of
sentence lengths and nothing of stores, blocks or arrays.
"""

import collections
import random
from typing import NamedTuple

import numpy as np
import pytest

from bertjax.config import ObjectiveConfig
from data_pipelines.host_rng import HostRng
from data_pipelines.prepare.options import Options
from data_pipelines.prepare.prepare import prepare
from data_pipelines.rows.planner import Planner, plan_examples
from data_pipelines.store.store import open_store
from tests.testing import synthetic

NSP = ObjectiveConfig(next_sentence="nsp", input_format="segment_pair")
SHORT_RATE = 0.1


class Pair(NamedTuple):
  """Lengths after truncation; `alone` where the chunk had one sentence."""

  document: int
  label: int
  a: int
  b: int
  alone: bool = False


def simulate(documents, seq_length, rng):
  """One pass of create_pretraining_data.py over all documents, as it is told.

  But for one thing: the partner is never the document itself.
  """
  budget = seq_length - 3  # [CLS] and twice [SEP]
  for number, document in enumerate(documents):
    target = budget
    if rng.random() < SHORT_RATE:
      target = rng.randint(2, budget)
    waiting = list(document)
    while waiting:
      chunk = [waiting.pop(0)]
      while waiting and sum(chunk) < target:
        chunk.append(waiting.pop(0))
      size_a = rng.randint(1, len(chunk) - 1) if len(chunk) > 1 else 1
      a, rest = sum(chunk[:size_a]), chunk[size_a:]
      label = int(len(chunk) == 1 or rng.random() < 0.5)
      b = sum(rest)
      if label:
        waiting = rest + waiting  # they come again
        others = documents[:number] + documents[number + 1 :]
        partner = rng.choice(others)
        at = rng.randrange(len(partner))
        b = 0
        while at < len(partner):
          b, at = b + partner[at], at + 1
          if b >= target - a:
            break
      yield Pair(number, label, *truncate(a, b, budget), len(chunk) == 1)


def truncate(a, b, budget):
  while a + b > budget:
    if a > b:
      a -= 1
    else:
      b -= 1
  return a, b


def plan(split, seq_length, epochs):
  """What the project plans, in the terms of the simulation, by epoch."""
  _, document_of = synthetic.places(split)
  for epoch in range(epochs):
    pairs = []
    for block in range(split.num_blocks):
      examples = plan_examples(
        split,
        block,
        NSP,
        seq_length,
        HostRng("pairs", epoch, block),
        synthetic.BERT,
      )
      assert (examples.segments_E == 2).all()
      columns = (
        document_of[examples.address_K[::2]],
        examples.labels_E,
        examples.length_K[::2],
        examples.length_K[1::2],
      )
      pairs += [
        Pair(*values)
        for values in zip(*(c.tolist() for c in columns), strict=True)
      ]
    yield pairs


def make_split(folder, documents):
  # Small blocks, so that partners lie in other ones too.
  store = synthetic.make_store(
    folder / "made", {"train": documents}, block_tokens=5_000
  )
  return store.split("train")


def largest_gap(ours, theirs):
  """Kolmogorov's distance, in units of what chance makes of equal ones."""
  grid = np.arange(max(*ours, *theirs) + 1)
  shares = [
    np.searchsorted(np.sort(values), grid, "right") / len(values)
    for values in (ours, theirs)
  ]
  size = len(ours) * len(theirs) / (len(ours) + len(theirs))
  return np.abs(shares[0] - shares[1]).max() * np.sqrt(size)


@pytest.mark.parametrize("seq_length", [32, 128])
def test_pairs_are_distributed_as_simulated_ones(seq_length, tmp_path):
  documents = synthetic.draw_documents(300, seed=5)
  split = make_split(tmp_path, documents)
  lengths = [document.tolist() for document in documents]
  rng, epochs = random.Random(2), 40
  theirs = [
    p for _ in range(epochs) for p in simulate(lengths, seq_length, rng)
  ]
  ours = [p for pairs in plan(split, seq_length, epochs) for p in pairs]
  # As many pairs: what is not used comes again.
  assert len(ours) == pytest.approx(len(theirs), rel=0.02)
  alone = np.mean([pair.alone for pair in theirs])
  share = np.mean([pair.label for pair in ours])
  deviation = np.sqrt(0.25 * (1 - alone) * 2 / len(ours))
  assert abs(share - (0.5 + 0.5 * alone)) < 5 * deviation
  # Where the two could be told apart: a label of 0.5 for all, say.
  assert 0.5 * alone > 10 * deviation
  for label in (0, 1):
    left, right = (
      [pair for pair in pairs if pair.label == label]
      for pairs in (ours, theirs)
    )
    for what in (lambda p: p.a, lambda p: p.b, lambda p: p.a + p.b):
      # 1.95 is passed once in 1,000 times; pairs of one document are alike.
      gap = largest_gap([*map(what, left)], [*map(what, right)])

      assert gap < 2.5


@pytest.fixture(scope="module")
def counted(tmp_path_factory):
  """Pairs of each pass over documents of 250 sentences of one token.

  There the target of a document is what A and B have together.
  """
  split = make_split(
    tmp_path_factory.mktemp("counted"), [np.ones(SENTENCES, int)] * 120
  )
  passes = []
  for pairs in plan(split, BUDGET + 3, epochs=80):
    by_document = collections.defaultdict(list)
    for pair in pairs:
      by_document[pair.document].append(pair)
    passes += by_document.values()
  return passes


SENTENCES, BUDGET = 250, 20


def full_pairs(pairs, target):
  """Those that the end of the document does not cut short."""
  at, found = 0, []
  for pair in pairs:
    if at + target > SENTENCES:
      break
    found.append(pair)
    at += pair.a if pair.label else pair.a + pair.b
  return found


def targets(passes):
  return [max(p.a + p.b for p in pairs if not p.label) for pairs in passes]


def test_the_target_is_drawn_once_a_document(counted):
  drawn = targets(counted)
  for pairs, target in zip(counted, drawn, strict=True):
    sums = {p.a + p.b for p in full_pairs(pairs, target) if not p.label}
    assert sums == {target}
    # A random partner fills up to the target, unless its document ends.
    assert all(p.a + p.b <= target for p in pairs)
    assert all(p.a < target for p in full_pairs(pairs, target))
  short = [target for target in drawn if target < BUDGET]
  # Of the lengths 2 to the budget, the last one is not short.
  share = SHORT_RATE * (BUDGET - 2) / (BUDGET - 1)
  deviation = np.sqrt(share * (1 - share) / len(drawn))
  assert abs(len(short) / len(drawn) - share) < 5 * deviation
  counts = np.bincount(short, minlength=BUDGET)[2:]
  assert chi_square(counts) < 5


def chi_square(counts):
  """Against even counts, in standard deviations from its mean."""
  expected = counts.sum() / len(counts)
  freedom = len(counts) - 1
  value = ((counts - expected) ** 2 / expected).sum()
  return (value - freedom) / np.sqrt(2 * freedom)


def test_the_border_of_a_and_b_is_uniform_and_the_label_a_coin(counted):
  full = [
    pair
    for pairs, target in zip(counted, targets(counted), strict=True)
    if target == BUDGET
    for pair in full_pairs(pairs, target)
  ]
  assert len(full) > 50_000
  counts = np.bincount([p.a for p in full], minlength=BUDGET)
  assert counts[0] == 0
  assert chi_square(counts[1:]) < 5
  coins = np.array([p.label for p in full])
  assert abs(coins.mean() - 0.5) < 5 * 0.5 / np.sqrt(len(coins))
  # Neither tells anything of the other, nor of the pair before.
  a = np.array([p.a for p in full])
  for one, other in ((a, coins), (a[1:], a[:-1]), (coins[1:], coins[:-1])):
    correlation = np.corrcoef(one, other)[0, 1]
    assert abs(correlation) < 5 / np.sqrt(len(full))


def test_what_b_would_have_been_comes_again(counted):
  for pairs in counted:
    own = sum(p.a if p.label else p.a + p.b for p in pairs)
    assert own == SENTENCES


def test_a_long_document_has_several_targets_and_a_short_one_one(tmp_path):
  long, short = np.ones(60_000, int), np.ones(1_500, int)
  split = make_split(tmp_path, [long, *[short] * 80])
  targets = collections.defaultdict(set)
  for pairs in plan(split, 103, epochs=3):
    for number, pair in enumerate(pairs):
      later = pairs[number + 1].document if number + 1 < len(pairs) else -1
      # One that no document's end has cut short.
      if pair.document == later and not pair.label:
        targets[pair.document].add(pair.a + pair.b)
  lengths = {len(found) for document, found in targets.items() if document}
  # In three epochs at most three targets; of long text about one in ten of
  # its 29 stretches each time.
  assert lengths <= {1, 2, 3}
  assert 5 <= len(targets[0]) <= 25


def test_books_fill_their_rows(real_data, tmp_path):
  books = real_data / "books" / "train-00000-of-00007.jsonl.xz"
  vocabulary = real_data / "vocab" / "bert-base-uncased-vocab.txt"
  summary = prepare(
    Options(str(books), str(tmp_path / "store"), tokenizer=str(vocabulary))
  )
  made = open_store(summary.path)
  for seq_length in (128, 512):
    planner = Planner(
      made,
      "train",
      objective=NSP,
      seq_length=seq_length,
      max_packs=0,
      seed=0,
    )
    assert planner.report["efficiency"] >= 0.995
  # Shards and index; the vocabulary is a quarter of a megabyte besides.
  entry = made.manifest.splits["train"]
  assert sum(file.bytes for file in entry.files) / entry.tokens <= 2.2
