# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Digests: blind to the mesh, and to nothing else."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from bertjax.checkpoints import digest
from bertjax.config import MeshConfig
from bertjax.parallel import multihost
from bertjax.parallel.mesh import make_mesh


def words(array):
  return np.asarray(digest.digest(jnp.asarray(array)))


@pytest.fixture(scope="module")
def array():
  return np.random.default_rng(0).normal(size=(8, 24)).astype(np.float32)


def test_a_digest_is_the_same_on_any_mesh(array):
  mesh = make_mesh(MeshConfig(data=2, fsdp=2, tensor=2))
  for spec in (("data", None), ("fsdp", "tensor"), (None, ("data", "tensor"))):
    placed = jax.device_put(array, NamedSharding(mesh, PartitionSpec(*spec)))
    np.testing.assert_array_equal(digest.digest(placed), words(array))


def test_every_single_bit_counts(array):
  expected = words(array)
  for position in (0, 17, 191):
    for bit in range(32):
      flipped = array.copy()
      flipped.view(np.uint32).flat[position] ^= np.uint32(1 << bit)
      assert np.all(words(flipped) != expected), (position, bit)


def test_positions_and_zeros_count(array):
  expected = words(array)
  assert np.any(words(array[::-1]) != expected)
  assert np.any(words(array[:, ::-1]) != expected)
  assert np.any(
    words(np.zeros(4, np.float32)) != words(np.zeros(5, np.float32))
  )


@pytest.mark.parametrize("dtype", ["bfloat16", "int32", "bool", "uint8"])
def test_every_dtype_of_a_state_has_a_digest(dtype):
  zeros = jnp.zeros(5, dtype)
  assert np.any(words(zeros) != words(zeros.at[3].set(jnp.ones((), dtype))))


def test_a_seal_that_was_touched_is_refused():
  sealed = digest.seal({"step": 3, "run": {"a": [1.5]}})
  assert digest.unseal(sealed) == {"step": 3, "run": {"a": [1.5]}}
  with pytest.raises(ValueError, match="sha256"):
    digest.unseal({**sealed, "step": 4})


def test_a_difference_is_told_to_all_processes(monkeypatch, array):
  told = []
  monkeypatch.setattr(
    multihost,
    "run_on_all",
    lambda topic, make, error: told.append((make, error)),
  )
  leaves = digest.describe({"a": jnp.asarray(array)})
  digest.verify({"a": jnp.asarray(array + 1)}, leaves)
  ((compare, error),) = told
  with pytest.raises(error, match="a does not match its digest"):
    compare()
