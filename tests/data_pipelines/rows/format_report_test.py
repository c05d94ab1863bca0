# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The report of a store's rows agrees with the rows themselves."""

import numpy as np
import pytest

from data_pipelines.rows.format_report import (
  FORMATS,
  SEQ_LENGTHS,
  report_formats,
)
from data_pipelines.rows.packing import MAX_PACKS
from data_pipelines.rows.planner import Planner
from data_pipelines.store.store_writer import SplitWriter
from tests.testing import synthetic


@pytest.fixture(scope="module")
def store(tmp_path_factory):
  # Three blocks, so that the report measures all of them.
  return synthetic.make_store(
    tmp_path_factory.mktemp("formats") / "made",
    {"train": synthetic.draw_documents(260, sentences=20)},
    block_tokens=20_000,
  )


def test_every_format_is_reported_at_every_length(store):
  found = list(report_formats(store))
  assert [report[:3] for report in found] == [
    (each.input_format, each.next_sentence, length)
    for each in FORMATS
    for length in SEQ_LENGTHS
  ]


@pytest.mark.parametrize("seq_length", SEQ_LENGTHS)
@pytest.mark.parametrize("cell", FORMATS)
def test_figures_are_those_of_the_examples(cell, seq_length, store):
  (report,) = (
    report
    for report in report_formats(store)
    if report[:3] == (cell.input_format, cell.next_sentence, seq_length)
  )
  split = store.split("train")
  assert 1 < split.num_blocks <= 4
  planner = Planner(
    store,
    "train",
    objective=cell,
    seq_length=report.seq_length,
    max_packs=0,
    seed=0,
  )
  read = np.zeros(split.num_tokens, bool)
  lengths, labels, drawn, rows = [], [], 0, 0
  for block in range(split.num_blocks):
    examples = planner.examples(0, block)
    rows += len(planner.rows(0, block))
    lengths += examples.lengths().tolist()
    labels += examples.labels_E.tolist()
    label_K = np.repeat(examples.labels_E, examples.segments_E)
    random_K = (label_K == 1) & (examples.type_K == 1)
    random_K &= report.next_sentence == "nsp"
    drawn += examples.length_K[random_K].sum()
    for address, length in zip(
      examples.address_K[~random_K], examples.length_K[~random_K], strict=True
    ):
      read[address : address + length] = True
  values, tokens = report.values, split.num_tokens
  assert values["examples_per_epoch"] == pytest.approx(len(lengths))
  assert values["rows_per_epoch"] == pytest.approx(rows)
  assert values["mean_example_length"] == pytest.approx(np.mean(lengths))
  assert values["examples_per_row"] == pytest.approx(len(lengths) / rows)
  assert values["efficiency"] == pytest.approx(
    sum(lengths) / (rows * report.seq_length)
  )
  assert values["truncated_share"] == pytest.approx((~read).mean())
  assert values["random_token_share"] == pytest.approx(drawn / tokens)
  wanted = np.mean(np.array(labels) == 1)
  if report.next_sentence != "nsp":
    wanted = 0
    assert drawn == 0
  assert values["random_share"] == pytest.approx(wanted)


def test_one_document_has_no_partners_to_report(tmp_path):
  one = synthetic.make_store(tmp_path / "one", {"train": [[7] * 90]})
  tasks = [report.next_sentence for report in report_formats(one)]
  assert tasks
  assert "nsp" not in tasks


@pytest.fixture(scope="module", params=["short documents", "books"])
def realistic(request, tmp_path_factory):
  """Sentences of 20 tokens, a block of the usual size; ids do not matter."""
  rng = np.random.default_rng(0)
  short = request.param == "short documents"
  folder = tmp_path_factory.mktemp("formats") / "realistic"
  folder.mkdir()
  writer = SplitWriter(folder, "train", 8)
  while writer._tokens + writer._pending_tokens < 1_000_000:
    count = int(rng.geometric(1 / 12)) if short else 2_000
    lengths = np.maximum(1, rng.negative_binomial(2, 1 / 11, count))
    writer.add_flat(np.zeros(lengths.sum(), np.int64), lengths)
  return synthetic.finish_store(folder, {"train": writer.finish()}, 8)


def least_rows(lengths, capacity, max_packs):
  """A number of rows that no packing goes below (Martello and Toth, 1990)."""
  bounds = [-(-len(lengths) // max_packs)]
  for small in range(capacity // 2 + 1):
    alone = lengths > capacity - small
    large = (lengths > capacity / 2) & ~alone
    rest = (lengths >= small) & (lengths <= capacity / 2)
    room = large.sum() * capacity - lengths[large].sum()
    more = -(-(lengths[rest].sum() - room) // capacity)
    bounds.append(alone.sum() + large.sum() + max(0, more))
  return max(bounds)


@pytest.mark.parametrize("seq_length", SEQ_LENGTHS)
@pytest.mark.parametrize("cell", FORMATS)
def test_no_packing_needs_one_row_in_a_hundred_less(
  cell, seq_length, realistic
):
  """Whole rows then, unless the examples of a format leave room to spare."""
  planner = Planner(
    realistic,
    "train",
    objective=cell,
    seq_length=seq_length,
    max_packs=0,
    seed=0,
  )
  assert planner.num_packs <= MAX_PACKS
  values = planner.report
  room = values["mean_example_length"] * planner.num_packs
  assert room >= 2 * seq_length or planner.num_packs == MAX_PACKS
  lengths = planner.examples(0, 0).lengths()
  least = least_rows(lengths, seq_length, planner.num_packs)
  assert len(planner.rows(0, 0)) <= 1.01 * least
