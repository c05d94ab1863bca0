# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""`Reference` and its measure are tested where rows are made of a store."""

from bertjax.finetune import forgetting, reference


def test_forgetting_measures_on_the_same_reference():
  assert forgetting.Reference is reference.Reference
