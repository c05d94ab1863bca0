# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Random numbers of the host: pure functions of a key, a name and a size.

NumPy promises that the raw words of Philox stay the same. It promises no such
thing for the methods of `Generator`, so none is used.
"""

import hashlib

import numpy as np


class HostRng:
  """Named streams of random words, keyed by `parts`."""

  def __init__(self, *parts: str | int) -> None:
    text = "\n".join(str(part) for part in parts)
    self._key = hashlib.blake2b(text.encode(), digest_size=32).digest()

  def _hash(self, name: str) -> int:
    hashed = hashlib.blake2b(name.encode(), key=self._key, digest_size=16)
    return int.from_bytes(hashed.digest(), "little")

  def random_words(self, name: str, size: int) -> np.ndarray:
    """Return the first `size` words of the stream `name`: uint64 [size]."""
    return np.random.Philox(key=self._hash(name)).random_raw(size)

  def uniform(self, name: str, size: int) -> np.ndarray:
    """Draw numbers in [0, 1): float64 [size]."""
    return (self.random_words(name, size) >> np.uint64(11)) * 2.0**-53

  def integers(self, name: str, bounds: np.ndarray) -> np.ndarray:
    """Draw a number in [0, bound) for each bound below 2³²; 0 where it is 0."""
    words = self.random_words(name, len(bounds)) >> np.uint64(32)
    scaled = words * bounds.astype(np.uint64) >> np.uint64(32)
    return scaled.astype(np.int64)

  def permutation(self, name: str, size: int) -> np.ndarray:
    """Draw a permutation of range(size)."""
    words = self.random_words(name, size)
    order = np.argsort(words)
    ordered = words[order]
    if (ordered[1:] == ordered[:-1]).any():
      # Only for ties does it matter that the fast sort is not stable.
      return np.argsort(words, kind="stable")
    return order

  def keys(self, name: str, ids: np.ndarray) -> np.ndarray:
    """Return two words for each id, which depend on that id alone.

    SplitMix64 (Steele et al., 2014) from a hashed start.

    Returns:
      uint32 [len(ids), 2].
    """
    start = np.uint64(self._hash(name) & (1 << 64) - 1)
    word = start + (ids.astype(np.uint64) + np.uint64(1)) * np.uint64(
      0x9E3779B97F4A7C15
    )
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
      word = (word ^ word >> np.uint64(shift)) * np.uint64(factor)
    word ^= word >> np.uint64(31)
    return word.astype("<u8").view("<u4").astype(np.uint32).reshape(-1, 2)
