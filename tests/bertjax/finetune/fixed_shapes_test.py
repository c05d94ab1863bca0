# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses

import jax
import numpy as np
import pytest

from bertjax.finetune.fixed_shapes import FixedShapes, bucket_lengths
from bertjax.model import BertForPreTraining
from tests.testing import examples
from tests.testing.windows import features_of

MODEL = dataclasses.replace(examples.SMALL, max_positions=512)


def compute(params, rows):
  hidden_BSD, pooled_BRD = BertForPreTraining(MODEL).apply(
    {"params": params}, rows, method="encode", deterministic=True
  )
  return {"pooled_BRD": pooled_BRD, "hidden_BSD": hidden_BSD}


@pytest.fixture(scope="module")
def forward():
  return FixedShapes(compute, examples.init_params(MODEL), 512)


@pytest.mark.parametrize("devices", [1, 2])
def test_batches_that_are_computed_at_once_keep_their_order_and_bits(
  forward, monkeypatch, devices
):
  """On one device, two threads compute; several devices take turns."""
  monkeypatch.setattr(jax, "local_devices", lambda: jax.devices()[:devices])
  here = FixedShapes(compute, jax.device_get(forward._params), 512)
  assert (here._threads is not None) == (devices == 1)
  lengths = np.random.default_rng(2).integers(2, 20, 90).tolist()
  features = features_of(lengths)
  at_once = here.start(features).read()["pooled_ND"]
  again = here.start(features).read()["pooled_ND"]
  one_by_one = [
    here.start({name: each[[row]] for name, each in features.items()}).read()
    for row in range(len(lengths))
  ]
  np.testing.assert_array_equal(again, at_once)
  np.testing.assert_array_equal(
    np.concatenate([each["pooled_ND"] for each in one_by_one]), at_once
  )


def test_neighbors_do_not_change_a_bit(forward):
  alone = forward.start(features_of([11])).read()
  draw = np.random.default_rng(0)
  among = draw.integers(3, 17, 31).tolist()
  for lengths in ([*among, 11], [500, 11], [11, *among, 500, 90]):
    outputs = forward.start(features_of(lengths)).read()
    row = lengths.index(11)
    assert outputs["pooled_ND"].shape == (len(lengths), MODEL.hidden_size)
    np.testing.assert_array_equal(
      outputs["pooled_ND"][row], alone["pooled_ND"][0]
    )
    np.testing.assert_array_equal(
      outputs["hidden_NSD"][row, :11], alone["hidden_NSD"][0]
    )
    assert not outputs["hidden_NSD"][row, 11:].any()


def test_a_bucket_is_compiled_once_and_has_one_number_of_rows(forward):
  before = forward._outputs._cache_size()
  for count in (1, 15, 16, 17):
    forward.start(features_of([13] * count)).read()
  assert forward._outputs._cache_size() == max(before, 1)
  assert forward.compiled[16] == forward.rows(16) == 16
  # As many tokens, and as many rows for each device.
  assert forward.rows(512) == jax.device_count()


def test_each_bucket_takes_the_lengths_above_the_one_before(forward):
  started = forward.start(features_of([1, 12, 13, 16, 17, 24, 25, 512]))
  shapes = [part[2].result()["hidden_BSD"].shape[:2] for part in started.parts]
  assert shapes == [(forward.rows(n), n) for n in (12, 16, 24, 32, 512)]
  assert [part[0].tolist() for part in started.parts] == [
    *([0, 1], [2, 3], [4, 5], [6], [7])
  ]


def test_another_batch_size_changes_the_last_bits_at_most(forward):
  lengths = np.random.default_rng(1).integers(2, 60, 40).tolist()
  wanted = forward.start(features_of(lengths, 64)).read()["pooled_ND"]
  other = FixedShapes(
    forward._outputs, jax.device_get(forward._params), 512, batch_size=40
  )
  found = other.start(features_of(lengths, 64)).read()["pooled_ND"]
  np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5)


def test_buckets_of_longer_models_begin_alike():
  assert bucket_lengths(8) == (8,)
  assert bucket_lengths(12) == (12,)
  assert bucket_lengths(16) == (12, 16)
  assert bucket_lengths(40) == (12, 16, 24, 32, 40)
  assert bucket_lengths(128) == (12, 16, 24, 32, 48, 64, 96, 128)
  assert bucket_lengths(512)[-3:] == (256, 384, 512)


def test_a_window_that_is_too_long_or_empty_is_one_line(forward):
  with pytest.raises(ValueError, match=r"row 1 has 0 tokens; give 1 to 512"):
    forward.start(features_of([3, 0]))
  with pytest.raises(ValueError, match="row 0 has 513 tokens"):
    forward.start(features_of([513], 513))
