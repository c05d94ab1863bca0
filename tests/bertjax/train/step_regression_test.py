# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What three steps computed when these numbers were recorded.

The numbers claim nothing but that they do not change. They hang on parameters,
batches, masks and dropout, which are functions of a seed, and on the arithmetic
of a step. A change that is not about the arithmetic must leave them; one that
is about it records them anew in the same commit and says why.
"""

import pytest

from tests.testing import training

# Sums over the batch, as a step returns them, at steps 1, 2 and 3.
RECORDED = {
  "loss": (4.87613582611084, 4.8810133934021, 4.788025379180908),
  "mlm_loss": (184.372802734375, 188.2895965576172, 194.22039794921875),
  "nsp_loss": (17.1461181640625, 17.42000961303711, 16.39190673828125),
  "grad_norm": (1.5996179580688477, 1.607721209526062, 1.1544376611709595),
}
# Exact: they count masks, tokens and examples.
COUNTED = {
  "mlm_loss": (44, 45, 47),
  "nsp_loss": (25, 25, 25),
  "packing_efficiency": (256, 256, 256),
}
WITH_DROPOUT = (4.878986835479736, 4.88245964050293, 4.800875663757324)
ADVICE = (
  "a step computes something else than when this was recorded. If no change of "
  "masking, dropout, losses or the optimizer was meant, this is a fault; if it "
  "was, record the numbers anew and say why in the commit"
)


@pytest.fixture(scope="module", name="metrics")
def _metrics():
  return training.train_alone().metrics


@pytest.mark.parametrize("name", RECORDED)
def test_steps_compute_what_was_recorded(metrics, name):
  got = [float(each[name][0]) for each in metrics]
  assert got == pytest.approx(RECORDED[name], rel=1e-4), ADVICE


@pytest.mark.parametrize("name", COUNTED)
def test_steps_count_what_was_recorded(metrics, name):
  assert tuple(int(each[name][1]) for each in metrics) == COUNTED[name], ADVICE


def test_dropout_drops_what_was_recorded():
  got = [
    float(each["loss"][0]) for each in training.train_alone(rate=0.1).metrics
  ]
  assert got == pytest.approx(WITH_DROPOUT, rel=1e-4), ADVICE
  without = RECORDED["loss"]
  assert got != pytest.approx(without, rel=1e-4), "dropout drops something"
