# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from bertjax.finetune.scores.checks import check_examples


def test_arrays_need_as_many_examples():
  check_examples([1, 2], [3, 4])
  with pytest.raises(ValueError, match="have 2 and 1 examples"):
    check_examples([1, 2], [3])


def test_no_example_is_refused():
  with pytest.raises(ValueError, match="no examples to score"):
    check_examples([], [])
