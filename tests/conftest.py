# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A hostile session: eight devices, strict promotion, no rank promotion."""

import os

# Before JAX starts a backend. Eight virtual devices stand in for a slice.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["XLA_FLAGS"] = (
  os.environ.get("XLA_FLAGS", "")
  + " --xla_force_host_platform_device_count=8"
  # The suite compiles far more than it computes: a third of the time.
  + " --xla_backend_optimization_level=0"
  # Eight devices share what cores there are: a collective whose last device
  # waits for a core is slow, not stuck, and must not end the process.
  + " --xla_cpu_collective_call_terminate_timeout_seconds=180"
  + " --xla_cpu_collective_timeout_seconds=180"
)

import pathlib

import jax
import pytest

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

SHARED = pathlib.Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> pathlib.Path:
  """Real text and tasks, where the machine has them."""
  if not SHARED.is_dir():
    pytest.skip(f"no real text at {SHARED}")
  return SHARED
