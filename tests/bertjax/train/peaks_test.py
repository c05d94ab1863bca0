# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Peaks of devices by the names that JAX has for them."""

import pytest

from bertjax.train.peaks import peak_flops


def test_peaks_are_found_by_the_longest_name():
  assert peak_flops("TPU v5 lite") == 197e12
  assert peak_flops("TPU v5p") == 459e12
  assert peak_flops("NVIDIA H100 80GB HBM3") == 989e12
  assert peak_flops("NVIDIA H100 PCIe") == 756e12
  assert peak_flops("NVIDIA A100-SXM4-80GB") == 312e12
  assert peak_flops("Tesla V100-SXM2-16GB") == 125e12
  assert peak_flops("cpu") is None


@pytest.mark.parametrize(
  "kind",
  [
    "NVIDIA H100 NVL",
    "NVIDIA H200 NVL",
    "NVIDIA A100X",
    "NVIDIA GH200 480GB",
    "NVIDIA B200",
    "NVIDIA L4",
  ],
)
def test_a_card_does_not_get_the_peak_of_another(kind):
  assert peak_flops(kind) is None
