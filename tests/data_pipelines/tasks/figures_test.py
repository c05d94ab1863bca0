# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from data_pipelines.tasks.figures import alike_labels, count_numeric


def test_labels_that_differ_by_case_or_white_space_are_grouped():
  found = alike_labels(("Spam", "ham", "not spam", "notspam", "spam"))
  assert found == (("Spam", "spam"), ("not spam", "notspam"))
  assert alike_labels(("a", "b")) == ()


@pytest.mark.parametrize(
  ("labels", "count"),
  [
    (("0.000", "1.200", "3.333"), 3),
    (("-0.5", "1e-3", "2"), 3),
    (("0", "1"), 0),
    (("0.0", "1.0"), 0),
    (("-1", "0", "1"), 0),
    (("1.5", "b"), 0),
    ([str(i) for i in range(150)], 0),
    ([str(i) for i in range(1, 78)], 0),
    ([str(i) for i in range(0, 100, 3)], 34),
    (("nan", "inf"), 0),
  ],
)
def test_measured_numbers_are_told_from_classes(labels, count):
  assert count_numeric(labels) == count
