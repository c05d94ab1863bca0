# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Digests: blind to the mesh, and to nothing else."""

import errno

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


def wrapped(error):
  """As Orbax raises what TensorStore raises while it reads an array."""
  try:
    raise Exception("Encountered error while reading array index") from error
  except Exception as outer:
    return outer


def raised_while_reading(error):
  with pytest.raises(Exception) as caught, digest.reading():  # noqa: PT011
    raise error
  return caught.value


@pytest.mark.parametrize(
  "error",
  [
    FileNotFoundError("record/metadata"),
    ValueError("DATA_LOSS: Error reading manifest"),
    ValueError("NOT_FOUND: Error opening driver"),
    ValueError("Error opening the driver"),
    UnicodeDecodeError("utf-8", b"x", 0, 1, "invalid"),
    KeyError("tree_metadata"),
    wrapped(ValueError("FAILED_PRECONDITION: truncated stream")),
  ],
)
def test_what_files_contain_can_be_damage(error):
  found = raised_while_reading(error)
  assert type(found) is digest.Damaged
  assert "Encountered" not in str(found), "the cause is told"


@pytest.mark.parametrize(
  ("error", "kind"),
  [
    (MemoryError(), MemoryError),
    (PermissionError("no"), PermissionError),
    (TimeoutError("late"), TimeoutError),
    (RuntimeError("bug"), RuntimeError),
    (OSError(errno.ESTALE, "stale"), digest.Unavailable),
    (OSError(errno.EIO, "io"), digest.Unavailable),
    (ValueError("UNAVAILABLE: no server"), digest.Unavailable),
    (wrapped(ValueError("DEADLINE_EXCEEDED: late")), digest.Unavailable),
    (ValueError("RESOURCE_EXHAUSTED: no memory"), OSError),
    (wrapped(ValueError("PERMISSION_DENIED: open")), OSError),
    (jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory"), OSError),
  ],
)
def test_what_the_system_lacks_is_no_damage(error, kind):
  found = raised_while_reading(error)
  assert type(found) is kind
  assert isinstance(digest.Unavailable(), TimeoutError), "a restart may help"
