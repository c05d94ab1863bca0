# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Digests of arrays that do not depend on how they are sharded.

Orbax restores flipped bits without an error (0.12.8: 80 of 80), so every leaf
has its own digest: sums modulo 2³² of the bit patterns of its elements, each
mixed with its position. The sums are computed in jit on the shards and
reduced; a modular sum does not depend on the order. A change of one element is
always found, because its factor is odd. Any other change is missed with a
probability of 2⁻⁶⁴.
"""

import contextlib
import errno
import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bertjax import config
from bertjax.files import first_line
from bertjax.model.parameters import by_name, leaf_name
from bertjax.parallel import multihost

# The content of a file is at fault: text that cannot be parsed, and whatever
# TensorStore raises that has another code than those below.
_OF_CONTENT = (
  ValueError,
  KeyError,
  TypeError,
  IndexError,
  AttributeError,
  EOFError,
  NotImplementedError,
)
_OF_MISSING_FILES = (
  FileNotFoundError,
  NotADirectoryError,
  IsADirectoryError,
)
# How TensorStore's messages begin (absl status codes).
_UNAVAILABLE = ("UNAVAILABLE", "DEADLINE_EXCEEDED", "ABORTED", "CANCELLED")
_NOT_ALLOWED = ("PERMISSION_DENIED", "UNAUTHENTICATED", "RESOURCE_EXHAUSTED")
# A network file system that is away for a while.
_RESTARTABLE = frozenset(
  (errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EAGAIN, errno.ENOTCONN)
)
_UNSIGNED = {1: jnp.uint8, 2: jnp.uint16, 4: jnp.uint32}


def nest(leaves: Mapping[str, Any]) -> dict[str, Any]:
  """Return {"a/b": x} as {"a": {"b": x}}."""
  return config.nest(leaves, "/")


def flat(groups: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
  """Return {"a": {"b/c": x}} as {"a/b/c": x}."""
  return {
    f"{group}/{name}": leaf
    for group, leaves in groups.items()
    for name, leaf in leaves.items()
  }


def describe(tree: Any) -> dict[str, dict[str, Any]]:
  """Return {name: {"shape", "dtype", "digest"}} of concrete arrays."""
  leaves = jax.tree.leaves_with_path(tree)
  # One after another: on virtual CPU devices, programs with collectives that
  # run at the same time can wait for each other's threads forever.
  sums = [jax.device_get(digest(leaf)) for _, leaf in leaves]
  return {
    leaf_name(path): {
      "shape": list(leaf.shape),
      "dtype": str(leaf.dtype),
      "digest": "".join(f"{int(word):08x}" for word in words),
    }
    for (path, leaf), words in zip(leaves, sums, strict=True)
  }


def abstract(
  leaves: Mapping[str, Any],
  shardings: Mapping[str, jax.sharding.Sharding] | None = None,
) -> dict[str, Any]:
  """Return the nested shapes to restore arrays into.

  Args:
    leaves: the result of `describe`.
    shardings: {name: sharding}; other leaves go to the first device of this
      process.
  """
  alone = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
  return nest(
    {
      name: jax.ShapeDtypeStruct(
        tuple(leaf["shape"]),
        leaf["dtype"],
        sharding=(shardings or {}).get(name, alone),
      )
      for name, leaf in leaves.items()
    }
  )


class Damaged(Exception):
  """The data read is not the data that was saved."""


class Unavailable(TimeoutError):
  """The storage did not answer; the data may be whole."""


@contextlib.contextmanager
def reading() -> Iterator[None]:
  """Raise `Damaged` where a library finds that a file is not what was written.

  Damage is what the content of files causes: a missing file, text that cannot
  be parsed, and what TensorStore finds in them. Everything else says nothing of
  the data and passes: out of memory, no permission, a mount that is gone.

  Raises:
    Damaged: the content is not what was written.
    Unavailable: the storage did not answer, which a restart may mend.
    OSError: TensorStore had no permission, or too little memory or disk.
  """
  # Only the text is kept: the exception holds on to half-read arrays.
  try:
    yield
    return
  except Exception as error:
    cause = _first_cause(error)
    kind = kind_of(cause)
    if kind is None:
      raise
    reason = f"{type(cause).__name__}: {first_line(cause)[:200]}"
  raise kind(reason)


def _first_cause(error: BaseException) -> BaseException:
  """Return what a plain `Exception`, as Orbax wraps errors, was raised from."""
  while type(error) is Exception and error.__cause__ is not None:
    error = error.__cause__
  return error


def kind_of(error: BaseException) -> type[Exception] | None:
  """Return the exception to raise instead of `error`; None for itself.

  `Unavailable` and `OSError` are of the storage, and `Damaged` of its content.
  """
  if isinstance(error, Damaged):
    return None
  if isinstance(error, OSError):
    if isinstance(error, _OF_MISSING_FILES):
      return Damaged
    return Unavailable if error.errno in _RESTARTABLE else None
  code = str(error).partition(":")[0]
  if code in _UNAVAILABLE:
    return Unavailable
  if code in _NOT_ALLOWED:
    return OSError
  return Damaged if isinstance(error, _OF_CONTENT) else None


def verify(tree: Any, leaves: Mapping[str, Any]) -> None:
  """Compare the digests of `tree` with those of `describe`.

  Raises:
    Damaged: a digest differs, naming the leaf; raised on all processes.
  """
  described = describe(tree)

  def compare() -> None:
    for name, found in described.items():
      if found != leaves[name]:
        raise Damaged(f"{name} does not match its digest")

  multihost.run_on_all("digests", compare, error=Damaged)


def check_leaves(wanted: Any, saved: Mapping[str, Any]) -> None:
  """Refuse other names, shapes or dtypes, which Orbax would cast silently."""
  found = by_name(wanted)
  for name in sorted(found.keys() ^ saved.keys()):
    where = "this state" if name in found else "the checkpoint"
    raise ValueError(f"only {where} has {name}; their models differ")
  for name, leaf in found.items():
    old = (tuple(saved[name]["shape"]), saved[name]["dtype"])
    new = (tuple(leaf.shape), str(leaf.dtype))
    if old != new:
      raise ValueError(f"{name} is {old} in the checkpoint and {new} here")


@jax.jit
def digest(array: jax.Array) -> jax.Array:
  """Return the digest of one array as two uint32."""
  bits = _bits(array)
  index = _linear_index(bits.shape)
  words = []
  for salt in (0x9E3779B9, 0x85EBCA77):
    factor = _mix(index ^ np.uint32(salt))
    offset = _mix(factor + np.uint32(salt))
    mixed = (bits ^ offset) * (factor | np.uint32(1))
    words.append(jnp.sum(mixed, dtype=jnp.uint32))
  return jnp.stack(words)


def _bits(array: jax.Array) -> jax.Array:
  if array.dtype == jnp.bool_:
    array = array.astype(jnp.uint8)
  unsigned = _UNSIGNED[array.dtype.itemsize]
  return jax.lax.bitcast_convert_type(array, unsigned).astype(jnp.uint32)


def _linear_index(shape: tuple[int, ...]) -> jax.Array:
  """Position of each element in row-major order, modulo 2³²."""
  index = jnp.zeros(shape, jnp.uint32)
  for axis in range(len(shape)):
    stride = np.uint32(math.prod(shape[axis + 1 :]) % 2**32)
    index += jax.lax.broadcasted_iota(jnp.uint32, shape, axis) * stride
  return index


def _mix(word: jax.Array) -> jax.Array:
  # A bijection of 32-bit words: xor-shifts and products with odd constants.
  word = (word ^ (word >> 16)) * np.uint32(0x7FEB352D)
  word = (word ^ (word >> 15)) * np.uint32(0x846CA68B)
  return word ^ (word >> 16)


def sha256_of_json(values: Any) -> str:
  """Return the sha256 of JSON values, independent of the order of keys."""
  text = json.dumps(values, sort_keys=True, separators=(",", ":"))
  return hashlib.sha256(text.encode()).hexdigest()


def seal(values: Mapping[str, Any]) -> dict[str, Any]:
  """Return `values` with their sha256 as one more value."""
  return {**values, "sha256": sha256_of_json(dict(values))}


def unseal(values: Mapping[str, Any]) -> dict[str, Any]:
  """Return the values that `seal` was given.

  Raises:
    ValueError: they do not match their sha256.
  """
  rest = {name: value for name, value in values.items() if name != "sha256"}
  if values.get("sha256") != sha256_of_json(rest):
    raise ValueError("its record does not match its sha256")
  return rest
