# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Laws of examples without pairs."""

import itertools

import numpy as np
import pytest

from data_pipelines.store.layout import LENGTH
from tests.testing.plans import objective, plan, segments


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
