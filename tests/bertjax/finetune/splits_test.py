# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Splits on the devices: padding is no example, and batches are declared."""

import numpy as np
import pytest

from bertjax.finetune.splits import evaluate, make_split, split_outputs
from tests.testing.trials import CLASSES, CONFIG, examples, make_inputs


@pytest.fixture(scope="module")
def inputs():
  return make_inputs(CONFIG)


def test_padding_rows_are_no_examples(inputs):
  logits_NC = split_outputs(inputs.programs, inputs.start(0).params, inputs.dev)
  assert logits_NC.shape == (30, CLASSES)
  assert len(inputs.dev.placed) == 2
  assert np.isfinite(logits_NC).all()


def test_a_batch_of_padding_changes_no_score(inputs):
  params = inputs.start(0).params
  batches = list(examples(30, 1).evaluation(CONFIG.evaluation_batch_size))
  padding = {name: np.zeros_like(array) for name, array in batches[0].items()}
  plain, padded = (
    evaluate(inputs.programs, params, make_split(some, inputs.programs))
    for some in (batches, [*batches, padding])
  )
  assert padded == plain


def test_a_batch_that_the_task_does_not_declare_is_refused(inputs):
  labels = examples(24, 0).evaluation(24)
  with pytest.raises(ValueError, match="label_BR is int64"):
    make_split(
      [{**b, "label_BR": b["label_BR"].astype(np.int64)} for b in labels],
      inputs.programs,
    )
