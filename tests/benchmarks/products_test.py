# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The products of a step are those that its FLOPs count."""

import pytest

from benchmarks import products
from bertjax.config import SIZES
from bertjax.train import flops


@pytest.mark.parametrize("fused_qkv", [False, True])
@pytest.mark.parametrize("size", ["tiny", "base", "large"])
def test_the_products_of_all_layers_are_the_formulas(size, fused_qkv):
  model, rows = SIZES[size], 1024
  found = model.num_layers * sum(
    shape.number * products.flops(shape, rows)
    for shape in products.shapes_of(model, fused_qkv=fused_qkv)
  )
  counts = {"tokens": rows, "attended": 0, "examples": 0}
  assert found == flops.train_flops(model, counts, 0)
