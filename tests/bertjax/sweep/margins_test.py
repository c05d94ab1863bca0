# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from bertjax.config import SweepConfig
from bertjax.sweep.margins import read_margins
from bertjax.sweep.study import make_trials


def test_margins_are_read_by_metric():
  assert read_margins("") == {}
  assert read_margins("mlm_loss=0.01; probe_accuracy = 5e-3") == {
    "mlm_loss": 0.01,
    "probe_accuracy": 0.005,
  }


@pytest.mark.parametrize(
  "text", ["mlm_loss", "=1", "a=-1", "a=0", "a=x", "a=nan", "a=inf"]
)
def test_what_is_no_margin_is_refused(text):
  with pytest.raises(ValueError, match="value above 0; give the largest"):
    read_margins(text)


def test_a_study_refuses_its_margins_before_a_trial():
  with pytest.raises(ValueError, match="margins gives a twice"):
    make_trials(SweepConfig(margins="a=1;a=2"))
