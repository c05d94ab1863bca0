# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Grafting takes what is named the same, and refuses the rest aloud."""

import jax.numpy as jnp
import numpy as np
import pytest

from bertjax.checkpoints.transfer import graft, with_highest_layers
from bertjax.model.parameters import by_name


def target():
  return {
    "encoder": {"kernel": jnp.zeros((2, 3)), "bias": jnp.zeros(3)},
    "classifier": {"kernel": jnp.full((3, 5), 7.0)},
  }


def source():
  return {
    "encoder": {"kernel": jnp.ones((2, 3)), "bias": jnp.ones(3)},
    "mlm_head": {"bias": jnp.ones(9)},
  }


def test_covered_names_are_copied_exactly_and_skipped_ones_stay():
  got = graft(target(), source(), skip=["classifier", "mlm_head"])
  np.testing.assert_array_equal(got["encoder"]["kernel"], np.ones((2, 3)))
  np.testing.assert_array_equal(got["encoder"]["bias"], np.ones(3))
  np.testing.assert_array_equal(
    got["classifier"]["kernel"], np.full((3, 5), 7.0)
  )
  assert got.keys() == target().keys()


@pytest.mark.parametrize(
  ("skip", "named"),
  [
    (["classifier"], "source has mlm_head/bias"),
    (["mlm_head"], "target has classifier/kernel"),
    ([], r"classifier/kernel.*mlm_head/bias"),
    (["classifier", "mlm_head", "pooler"], "'pooler' matches nothing"),
    # A prefix must end where a name of the path ends.
    (["class", "mlm_head"], "'class' matches nothing"),
  ],
)
def test_what_is_not_skipped_must_be_on_both_sides(skip, named):
  with pytest.raises(ValueError, match=named):
    graft(target(), source(), skip=skip)


@pytest.mark.parametrize("other", [jnp.ones((3, 3)), jnp.ones((2, 3), "int32")])
def test_another_shape_or_dtype_is_refused(other):
  wrong = source()
  wrong["encoder"]["kernel"] = other
  with pytest.raises(ValueError, match=r"encoder/kernel is .* float32\[2, 3\]"):
    graft(target(), wrong, skip=["classifier", "mlm_head"])


def test_the_highest_layers_are_taken_and_nothing_else():
  ours, theirs = (
    {
      "encoder": {
        "layers": {"mlp_up": {"bias": jnp.full((3, 2), value)}},
        "embeddings": {"layer_norm": {"bias": jnp.full(2, value)}},
      }
    }
    for value in (1.0, 2.0)
  )
  found = by_name(with_highest_layers(ours, theirs, 1))
  up = found["encoder/layers/mlp_up/bias"]
  assert up[:, 0].tolist() == [1.0, 1.0, 2.0]
  assert found["encoder/embeddings/layer_norm/bias"].tolist() == [1.0, 1.0]
