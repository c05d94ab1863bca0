# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Hosts of a Cloud TPU meet at a port that its firewall opens."""

import pytest
from jax._src.clusters import cloud_tpu_cluster

from launch.hosts import coordinator_port
from launch.hosts.coordinator_port import OPEN, PORT, VARIABLE


def test_the_port_that_jax_takes_is_the_one_that_is_replaced():
  taken = int(cloud_tpu_cluster.coordinator_port)
  assert taken == coordinator_port.JAX_PORT
  assert taken not in OPEN, "JAX takes an open port again: drop the correction"
  assert PORT in OPEN


@pytest.mark.parametrize(
  ("address", "environment", "expected"),
  [
    ("10.0.0.2:8482", {}, "10.0.0.2:8476"),
    ("[fd00::2]:8482", {}, "[fd00::2]:8476"),
    ("10.0.0.2:8482", {VARIABLE: "8482"}, "10.0.0.2:8482"),
    ("node003:61447", {}, "node003:61447"),
    (None, {}, None),
  ],
)
def test_only_jaxs_own_port_is_corrected(address, environment, expected):
  assert coordinator_port.correct(address, environment) == expected
