# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Laws of the random numbers that the host uses."""

import numpy as np

from data_pipelines.host_rng import HostRng


def test_equal_random_words_keep_their_order(monkeypatch):
  """A fast sort breaks ties as each processor likes; an order may not."""
  words = np.repeat(np.arange(50, 0, -1), 40).astype(np.uint64)
  monkeypatch.setattr(HostRng, "random_words", lambda *_: words)
  expected = np.argsort(words, kind="stable")
  np.testing.assert_array_equal(HostRng("t").permutation("o", 2000), expected)


def test_random_words_are_those_of_every_numpy():
  """Fixed values: a change of these changes every batch of every run."""
  rng = HostRng("store", "train", 0, 1)
  assert rng.random_words("x", 2).tolist() == GOLDEN_WORDS
  assert rng.keys("m", np.array([0, 7])).tolist() == GOLDEN_KEYS


GOLDEN_WORDS = [13569444021465895098, 13584026098178421235]
GOLDEN_KEYS = [[4201339002, 1535357825], [3260372123, 974070157]]


def test_streams_differ_by_name_and_by_every_part():
  parts = [("a", 0, 1), ("a", 1, 0), ("b", 0, 1), ("a0", 1), ("a", "0\n1")]
  words = [HostRng(*part).random_words("x", 1)[0] for part in parts[:4]]
  assert len(set(words)) == 4
  rng = HostRng("a")
  assert rng.random_words("x", 1)[0] != rng.random_words("y", 1)[0]
  # A longer request starts with the shorter one.
  assert (
    rng.random_words("x", 9)[:3].tolist() == rng.random_words("x", 3).tolist()
  )


def test_drawn_numbers_are_even_and_below_their_bounds():
  rng = HostRng("below")
  bounds = np.tile(np.array([0, 1, 2, 7]), 20_000)
  drawn = rng.integers("n", bounds)
  assert (drawn[bounds <= 1] == 0).all()
  assert (drawn >= 0).all()
  assert (drawn[bounds > 0] < bounds[bounds > 0]).all()
  for bound in (2, 7):
    counts = np.bincount(drawn[bounds == bound], minlength=bound)
    expected = 20_000 / bound
    assert (abs(counts - expected) < 5 * np.sqrt(expected)).all()
  uniform = rng.uniform("u", 50_000)
  assert 0 <= uniform.min() < 0.001
  assert 0.999 < uniform.max() < 1
  assert abs(uniform.mean() - 0.5) < 0.01
  assert sorted(rng.permutation("o", 100)) == list(range(100))


def test_a_key_depends_on_its_id_only_and_is_its_own():
  rng = HostRng("keys")
  ids = np.arange(100_000)
  keys = rng.keys("masks", ids)
  assert keys.dtype == np.uint32
  assert keys.shape == (100_000, 2)
  assert len(np.unique(keys.copy().view(np.uint64))) == 100_000
  some = np.array([99, 5, 70_000])
  np.testing.assert_array_equal(rng.keys("masks", some), keys[some])
  assert abs(np.unpackbits(keys.view(np.uint8)).mean() - 0.5) < 0.01
