# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Peaks of devices by the names that JAX has for them."""

from bertjax.train.peaks import peak_flops


def test_peaks_are_found_by_the_longest_name():
  assert peak_flops("TPU v5 lite") == 197e12
  assert peak_flops("TPU v5p") == 459e12
  assert peak_flops("NVIDIA H100 80GB HBM3") == 989e12
  assert peak_flops("cpu") is None
