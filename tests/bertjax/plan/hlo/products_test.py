# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""FLOPs of products against counts by hand."""

import pytest

from bertjax.plan.hlo import products
from tests.testing.hlo import entry


@pytest.mark.parametrize(
  ("line", "flops"),
  [
    (
      "%c = f32[8,32]{1,0} convolution(%a, %b), dim_labels=bf_io->bf",
      2 * 8 * 32 * 16,
    ),
    (
      "%c = f32[8,32]{1,0} dot(%a, %b), lhs_contracting_dims={1}, "
      "rhs_contracting_dims={0}",
      2 * 8 * 32 * 16,
    ),
  ],
)
def test_products_count_twice_their_multiplications(line, flops):
  module = entry(
    "%a = f32[8,16]{1,0} parameter(0)",
    "%b = f32[16,32]{1,0} parameter(1)",
    line,
  )
  assert products.matmul_flops(module) == flops


def test_products_with_padding_count_nothing():
  # A product for each of 4 × 6 heads, in the form that the TPU compiler gives
  # it: [4, 6, 8, 16] with [4, 6, 32, 16], contracted over 16.
  module = entry(
    "%a = f32[4,8,6,16]{3,2,1,0} parameter(0)",
    "%b = f32[4,32,6,16]{3,2,1,0} parameter(1)",
    "%c = f32[4,6,8,32]{3,2,1,0} convolution(%a, %b), window={size=4x6 "
    "stride=3x5 lhs_dilate=4x6}, dim_labels=0b1f_0o1i->01bf",
  )
  assert products.matmul_flops(module) == 2 * 4 * 6 * 8 * 32 * 16
