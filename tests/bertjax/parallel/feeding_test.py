# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Batches on the devices of a mesh."""

import numpy as np

from bertjax.config import MeshConfig
from bertjax.parallel import feeding
from bertjax.parallel.mesh import make_mesh
from tests.testing import tiny


def test_a_batch_is_sharded_along_its_rows():
  mesh = make_mesh(MeshConfig(data=2, fsdp=2, tensor=2))
  batch = tiny.batch(0)
  placed = feeding.put_batch(batch, mesh)
  assert feeding.batch_shards(mesh) == 4
  assert feeding.local_rows(mesh, tiny.ROWS) == slice(0, tiny.ROWS)
  for name, array in placed.items():
    np.testing.assert_array_equal(array, batch[name])
    assert array.addressable_shards[0].data.shape[0] == tiny.ROWS // 4
