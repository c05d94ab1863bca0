# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

import bertjax
from bertjax.batch import ENCODER_FEATURES, empty_batch
from tests.testing import small
from tests.testing.classifiers import LABELS, make_classifier


@pytest.fixture(scope="module")
def path(tmp_path_factory):
  return make_classifier(tmp_path_factory.mktemp("classifier") / "model")


def rows(count):
  batch = empty_batch(ENCODER_FEATURES, {"B": count, "S": 16, "R": 1})
  draw = np.random.default_rng(0)
  for row in range(count):
    length = int(draw.integers(3, 17))
    batch["tokens_BS"][row, :length] = draw.integers(6, 22, length)
    batch["positions_BS"][row, :length] = np.arange(length)
    batch["packs_BS"][row, :length] = 1
  return batch


def test_labels_are_the_likeliest(path):
  classifier = bertjax.load_classifier(path)
  assert classifier.labels == LABELS
  found = classifier(rows(70))
  np.testing.assert_allclose(found.probabilities_NC.sum(axis=1), 1)
  best = found.probabilities_NC.argmax(axis=1)
  assert found.labels == tuple(LABELS[i] for i in best)
  assert len(set(found.labels)) > 1
  nothing = classifier({name: each[:0] for name, each in rows(1).items()})
  assert nothing.labels == ()
  assert nothing.probabilities_NC.shape == (0, 3)


def test_arrays_of_another_form_are_one_line(path, tmp_path):
  classifier = bertjax.load_classifier(path)
  with pytest.raises(ValueError, match="rows have 2 packs; give one"):
    classifier(empty_batch(ENCODER_FEATURES, {"B": 1, "S": 16, "R": 2}))
  with pytest.raises(ValueError, match="the batch has"):
    classifier({"tokens_BS": np.zeros((1, 16), np.int32)})
  with pytest.raises(ValueError, match="is not fine-tuned"):
    bertjax.load_classifier(small.make_bundle(tmp_path / "bundle"))
