# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses
import itertools

import numpy as np
import pytest

from bertjax.batch import Vocabulary
from bertjax.config import ObjectiveConfig
from data_pipelines.rows import store_statistics as statistics
from data_pipelines.rows.examples import draw_targets
from data_pipelines.rows.format_report import report_formats
from data_pipelines.rows.planner import Planner, sample_blocks
from tests.testing.synthetic import draw_documents, make_store

DOCUMENTS = draw_documents(700, tokens=14, sentences=4)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
  folder = tmp_path_factory.mktemp("statistics") / "store"
  return make_store(folder, {"train": DOCUMENTS}, block_tokens=2_000)


@pytest.mark.parametrize("pending", [1, 50, 1 << 20])
def test_a_tally_says_what_the_numbers_say(pending, monkeypatch):
  monkeypatch.setattr(statistics, "_PENDING", pending)
  generator = np.random.default_rng(0)
  parts = [generator.geometric(0.03, size) for size in (1, 400, 3, 977)]
  tally = statistics.Tally()
  for part in parts:
    tally.add(part.astype(np.uint16))
  numbers = np.concatenate(parts)
  assert len(tally) == len(numbers)
  assert tally.mean == pytest.approx(numbers.mean(), rel=1e-12)
  for percent in (0, 1, 5, 50, 95, 99, 100):
    truth = np.percentile(numbers, percent, method="inverted_cdf")
    assert tally.percentile(percent) == truth, percent
  assert tally.share(1, 3) == np.mean((numbers >= 1) & (numbers <= 3))
  edges = np.array([1, 2, 5, 30, numbers.max() + 1])
  truth = np.histogram(numbers, edges)[0]
  np.testing.assert_array_equal(tally.histogram(edges), truth)


def tallied(texts):
  return [
    np.repeat(*tally._merge()).tolist()
    for tally in (
      texts.sentences_per_document,
      texts.tokens_per_sentence,
      texts.tokens_per_document,
    )
  ]


def counted(documents):
  return [
    sorted(len(lengths) for lengths in documents),
    sorted(itertools.chain.from_iterable(d.tolist() for d in documents)),
    sorted(int(sum(lengths)) for lengths in documents),
  ]


def test_sizes_are_those_of_the_text(store):
  texts = statistics.count_texts(store.split("train"))
  assert store.split("train").num_blocks > 10
  assert texts.counted == 1
  assert tallied(texts) == counted(DOCUMENTS)


def test_of_a_large_split_some_blocks_are_counted_from_end_to_end(store):
  split = store.split("train")
  texts = statistics.count_texts(split, split.num_sentences // 4)
  blocks = sample_blocks(split.num_blocks, split.num_blocks // 4)
  assert 0.15 < texts.counted < 0.35
  assert (
    min(blocks) < split.num_blocks / 4 < 3 * split.num_blocks / 4 < max(blocks)
  )
  documents = [
    document
    for block in blocks
    for document in DOCUMENTS[slice(*split.blocks[block : block + 2, 0])]
  ]
  assert tallied(texts) == counted(documents)


def test_tokens_are_counted_by_what_they_are():
  special_V = np.arange(8) < 3
  continues_V = np.array([0, 0, 0, 0, 1, 0, 1, 0], bool)
  vocabulary = Vocabulary(
    pad_id=0,
    unk_id=1,
    cls_id=2,
    sep_id=2,
    mask_id=2,
    special_V=special_V,
    continues_V=continues_V,
    ordinary_W=np.array([3, 4, 5, 6], np.int32),  # 7 is an unused slot
  )
  text = [3, 4, 4, 1, 3, 5, 4, 4]
  use = statistics.count_tokens(np.bincount(text, minlength=8), vocabulary)
  assert (use.tokens, use.unknown, use.unknown_rate) == (8, 1, 1 / 8)
  # 3 4 4, 1, 3 and 5 4 4
  assert (use.words, use.fertility) == (4, 2)
  assert (use.ordinary, use.never) == (4, 1)
  assert use.ranked_N.tolist() == [4, 3, 1, 5]


def count_slowly(planner, objective, block):
  """Kinds of lone examples, one sentence after another."""
  split = planner.split
  first, last = split.blocks[block : block + 2, 0]
  documents = DOCUMENTS[first:last]
  place = [
    (number, sentence)
    for number, document in enumerate(documents)
    for sentence in range(len(document))
  ]
  targets = draw_targets(
    objective,
    planner.seq_length - 3,
    len(documents),
    planner.rng(0, block),
  )
  examples, kinds = planner.examples(0, block), np.zeros(3, int)
  for id_, label in zip(examples.ids_E, examples.labels_E, strict=True):
    number, sentence = place[id_]
    document = documents[number]
    taken, stop = 0, sentence
    while stop < len(document) and taken < targets[number]:
      taken, stop = taken + document[stop], stop + 1
      if objective.input_format == "sentence_pair":
        taken = 0 if stop - sentence < 2 else targets[number]
    if stop - sentence == 1:
      assert label == 1  # nothing is left to go on with
      kind = 0 if len(document) == 1 else 1 if stop == len(document) else 2
      kinds[kind] += 1
  return np.array([len(examples.ids_E), *kinds])


def test_chances_of_a_random_partner_are_those_of_lone_sentences(store):
  measured = {
    (report.input_format, report.seq_length): report.values["random_share"]
    for report in report_formats(store)
    if report.next_sentence == "nsp"
  }
  shares = list(statistics.measure_pairs(store))
  assert [share[:2] for share in shares] == list(measured)
  for share in shares:
    objective = dataclasses.replace(
      ObjectiveConfig(), input_format=share.input_format
    )
    planner = Planner(
      store,
      "train",
      objective=objective,
      seq_length=share.seq_length,
      max_packs=1,
      seed=0,
    )
    blocks = sample_blocks(planner.split.num_blocks, 4)
    counts = np.sum(
      [count_slowly(planner, objective, block) for block in blocks], axis=0
    )
    assert counts[1] > 0
    assert counts[2] > 0
    lone = (share.lone_documents, share.lone_ends, share.lone_long)
    assert share.examples == counts[0]
    np.testing.assert_allclose(lone, counts[1:] / counts[0], rtol=1e-12)
    assert share.expected == pytest.approx(0.5 + 0.5 * sum(lone), rel=1e-12)
    key = share.input_format, share.seq_length
    assert share.measured == pytest.approx(measured[key], rel=1e-12)
    assert abs(share.measured - share.expected) < 1.5 * share.chance
  assert shares[0].lone_long > 0  # short targets are filled by one sentence


def test_a_sentence_as_long_as_the_target_is_alone(tmp_path):
  document = np.full(40, 125)  # 128 with [CLS] and two [SEP]
  store = make_store(tmp_path / "store", {"train": [document] * 9})
  share = next(statistics.measure_pairs(store))
  assert share.seq_length == 128
  assert share.expected == share.measured == 1
  assert share.lone_long == pytest.approx(1 - 1 / 40)


def test_one_document_has_no_pairs_to_measure(tmp_path):
  store = make_store(tmp_path / "store", {"train": DOCUMENTS[:1]})
  assert list(statistics.measure_pairs(store)) == []
