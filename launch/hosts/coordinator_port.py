# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The port at which the hosts of a Cloud TPU meet.

JAX has taken 8482 since 0.8.1, which the firewall rule that Cloud TPU makes
does not open between the machines of a slice (jax#35905): the hosts wait for
each other until they give up. 8476, which JAX took before, is open.
"""

from collections.abc import Mapping

VARIABLE = "JAX_COORDINATOR_PORT"
PORT = 8476
# What JAX takes on a Cloud TPU and nowhere else.
JAX_PORT = 8482
# TCP ports of Cloud TPU's own firewall rule, as jax#35905 lists them.
OPEN = (8470, 8471, 8474, 8476, 11211)


def correct(address: str | None, environment: Mapping[str, str]) -> str | None:
  """Return an address that JAX found, with a port that is open.

  An address at which VARIABLE has a port stays, as does one of another kind of
  cluster.
  """
  if not address or environment.get(VARIABLE):
    return address
  host, _, port = address.rpartition(":")
  return f"{host}:{PORT}" if port == str(JAX_PORT) else address
