# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Splits on the devices: padding is no example, and batches are declared."""

import dataclasses
from typing import Any, cast

import jax
import numpy as np
import pytest

from bertjax.finetune.multi_label import TASK as MULTI_LABEL
from bertjax.finetune.regression import TASK as REGRESSION
from bertjax.finetune.splits import evaluate, make_split, split_outputs
from tests.testing.trials import CLASSES, CONFIG, examples, make_inputs


@pytest.fixture(scope="module")
def inputs():
  return make_inputs(CONFIG)


def test_padding_rows_are_no_examples(inputs):
  outputs = split_outputs(inputs.programs, inputs.start(0).params, inputs.dev)
  assert outputs["logits_NC"].shape == (30, CLASSES)
  assert len(inputs.dev.placed) == 2
  assert np.isfinite(outputs["logits_NC"]).all()


class Padded:
  """A split, and a batch of padding after it."""

  def __init__(self, data):
    self.owners_N, self.examples, self._data = data.owners_N, (), data

  def evaluation(self, batch_size, multiple):
    batches = list(self._data.evaluation(batch_size, multiple))
    arrays, window_BR = batches[0]
    yield from batches
    yield batches[0]._replace(
      arrays=jax.tree.map(np.zeros_like, arrays),
      window_BR=np.full_like(window_BR, -1),
    )


def test_a_batch_of_padding_changes_no_score(inputs):
  params, size = inputs.start(0).params, CONFIG.evaluation_batch_size
  data = examples(30, 1)
  plain, padded = (
    evaluate(inputs.programs, params, make_split(some, inputs.programs, size))
    for some in (data, cast(Any, Padded(data)))
  )
  assert padded == plain


def test_packed_windows_have_the_outputs_of_unpacked_ones():
  # Programs of its own: other tests count what is compiled.
  inputs = make_inputs(dataclasses.replace(CONFIG, evaluations=2))
  params, size = inputs.start(0).params, CONFIG.evaluation_batch_size
  plain, packed = (
    split_outputs(
      inputs.programs,
      params,
      make_split(examples(30, 1, 24, pack=pack), inputs.programs, size),
    )
    for pack in (False, True)
  )
  np.testing.assert_allclose(
    packed["logits_NC"], plain["logits_NC"], rtol=0, atol=1e-5
  )


@pytest.mark.parametrize(
  ("task", "values"),
  [
    (REGRESSION, np.asarray([-1.0, 0.5, 1.0], np.float32)),
    (MULTI_LABEL, np.asarray([[1, 1, 0], [0, 1, 1], [0, 0, 0]], bool)),
  ],
  ids=["regression", "multi_label"],
)
def test_other_targets_score_alike_packed_and_unpacked(task, values):
  inputs = make_inputs(CONFIG, task=task, values=values)
  params, size = inputs.start(0).params, CONFIG.evaluation_batch_size
  plain, packed = (
    evaluate(
      inputs.programs,
      params,
      make_split(
        examples(30, 1, 24, pack=pack, values=values), inputs.programs, size
      ),
    ).scores
    for pack in (False, True)
  )
  assert packed == pytest.approx(plain, abs=1e-5)
  # The last batch is padded, and 30 examples count as 30.
  assert len(inputs.dev.placed) == 2
  assert plain == pytest.approx(
    evaluate(inputs.programs, params, inputs.dev).scores, abs=1e-5
  )


def test_a_batch_that_the_task_does_not_declare_is_refused(inputs):
  task = dataclasses.replace(inputs.programs.task, targets={})
  programs = dataclasses.replace(inputs.programs, task=task)
  with pytest.raises(ValueError, match=r"the batch has .*label_BR"):
    make_split(examples(24, 0), programs, 24)
