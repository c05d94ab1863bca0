# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from launch.preflight.thresholds import CHECKS, Check


@pytest.mark.parametrize(
  ("unit", "value", "text"),
  [
    ("share", 0.2, "20%"),
    ("share", 0.123456, "12.35%"),
    ("share", 0.00001, "0.001%"),
    ("share", 0.0000024067, "0.000241%"),
    ("share", 2.13e8, "21,300,000,000%"),
    ("count", 12345, "12,345"),
    ("ratio", 1.3333333, "1.333"),
  ],
)
def test_figures_are_written_in_the_unit_of_their_check(unit, value, text):
  assert Check("it", 1.0, unit=unit).show(value) == text


def test_names_are_words_that_a_flag_can_hold():
  for name in CHECKS:
    assert name.replace("_", "").isalnum(), name
    assert name == name.lower(), name
