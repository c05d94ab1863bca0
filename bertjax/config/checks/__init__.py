# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Refuse a user's mistakes in one line, before anything is compiled.

The types of a config's fields say which values each takes; see
`bertjax.config.fields`. These modules check several fields together, or fields
against devices and data. They do not import JAX, so that a launcher checks a
config before it starts a device.
"""

from bertjax.config.checks.dropout import check_dropout
from bertjax.config.checks.learning import (
  check_objective,
  check_optimizer,
  check_seed,
)
from bertjax.config.checks.mesh import check_mesh, mesh_shape, mesh_slices
from bertjax.config.checks.model import (
  check_model,
  check_pairs,
  padded_vocab_size,
)
from bertjax.config.checks.run import check_pretrain, check_segments

__all__ = [
  "check_dropout",
  "check_mesh",
  "check_model",
  "check_objective",
  "check_optimizer",
  "check_pairs",
  "check_pretrain",
  "check_seed",
  "check_segments",
  "mesh_shape",
  "mesh_slices",
  "padded_vocab_size",
]
