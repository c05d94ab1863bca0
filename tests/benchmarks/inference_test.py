# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What is timed gives the same hidden states."""

import jax
import numpy as np
import pytest

from benchmarks import inference, steps
from benchmarks.turns import EAGER, OURS
from bertjax.interop.architectures import init
from bertjax.model import BertForPreTraining
from tests.testing.examples import SMALL

BATCH = steps.make_batch(SMALL.vocab_size, 16, [[16], [9]])


@pytest.fixture(scope="module")
def found(tmp_path_factory):
  folder = tmp_path_factory.mktemp("inference")
  made = inference.make_all(folder, SMALL, BATCH)
  return {name: run() for name, run in made.items()}


@pytest.mark.full
def test_all_give_the_same_hidden_states(found):
  assert [*found] == [OURS, EAGER, inference.ONNX, inference.INT8]
  real_BS = BATCH["packs_BS"] > 0
  for name, hidden_BSD in found.items():
    tolerance = 0.3 if name == inference.INT8 else 1e-4
    np.testing.assert_allclose(
      hidden_BSD[real_BS], found[OURS][real_BS], atol=tolerance, err_msg=name
    )
    assert hidden_BSD.dtype == np.float32


def test_the_layers_of_ours_are_no_loop_as_in_predictions(monkeypatch):
  assert SMALL.num_layers > 1
  params = jax.device_get(init(BertForPreTraining(SMALL), jax.random.key(0)))
  programs = []
  monkeypatch.setattr(
    jax.stages.Lowered, "compile", lambda self: programs.append(self.as_text())
  )
  inference.make_ours(SMALL, params, BATCH, "float32")
  (text,) = programs
  assert "stablehlo.dot_general" in text
  assert "stablehlo.while" not in text
