# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Steps of other encoders than BERT are the same on every mesh."""

import dataclasses

import jax
import pytest

from bertjax.config import MeshConfig
from tests.testing import tiny, training
from tests.testing.choices import CONFIGS


@pytest.fixture(
  params=["modernbert", pytest.param("albert", marks=pytest.mark.full)]
)
def encoder(request, monkeypatch):
  """Put the choices of a family into the tiny encoder, with a pooler."""
  config = dataclasses.replace(
    CONFIGS[request.param],
    vocab_size=tiny.TOKENS,
    max_positions=tiny.LENGTH,
    pooler=True,
  )
  monkeypatch.setattr(tiny, "CONFIG", config)
  jax.clear_caches()  # shapes of `tiny` are cached by function, not by config
  yield
  jax.clear_caches()


@pytest.mark.usefixtures("encoder")
def test_a_mesh_of_every_axis_trains_as_one_device():
  alone = training.train(
    MeshConfig(data=1), rate=0.1, devices=jax.devices()[:1]
  )
  mesh = training.MESHES["zero1 and all"]
  training.check_same(alone, training.train(mesh, rate=0.1, accumulation=2))
