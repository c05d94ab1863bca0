# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The classes of transformers as models that have their parts."""

import jax
import pytest

from bertjax.interop.architectures import ARCHITECTURES, init, shapes
from tests.testing.examples import SMALL


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_whole_class_has_every_part_of_the_model(name):
  kind = ARCHITECTURES[name]
  made = jax.eval_shape(
    lambda key: init(kind.make(SMALL, 3), key), jax.random.key(0)
  )
  assert {*kind.parts} <= made.keys()
  assert {*ARCHITECTURES[kind.whole].parts} == made.keys()


def test_a_classifier_is_as_wide_as_its_classes():
  kernel = shapes("BertForSequenceClassification", SMALL, 7)[
    "classifier/dense/kernel"
  ]
  assert kernel.shape == (SMALL.hidden_size, 7)
