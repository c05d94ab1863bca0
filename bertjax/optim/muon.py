# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Muon's direction for the hidden matrices, Adam's for everything else."""

from typing import Any

import jax
import numpy as np
import optax
from optax.contrib import MuonDimensionNumbers, scale_by_muon

from bertjax.config import OptimizerConfig
from bertjax.model.parameters import leaf_name
from bertjax.optim.stacks import is_stacked

# Adam's usual root mean square, which makes one learning rate and one decay
# serve both (Liu et al., 2025, arXiv 2502.16982, section 2.2).
UPDATE_RMS = 0.2


def scale_by_muon_and_adam(
  config: OptimizerConfig,
) -> optax.GradientTransformation:
  """Return the orthogonalised momentum of matrices, and Adam of the rest.

  Jordan et al. (2024): the update of a matrix has all its singular values
  near one. Layers that are stacked by a scan are matrices of their own.
  Tables, biases, norms and the pair head go by Adam, with bias correction.
  """

  def match_rms(
    updates: optax.Updates, state: Any, params: optax.Params | None = None
  ) -> tuple[optax.Updates, Any]:
    del params
    return jax.tree.map(_scaled, updates, matrix_axes(updates)), state

  return optax.partition(
    {
      True: optax.chain(
        scale_by_muon(weight_dimension_numbers=matrix_axes),
        optax.GradientTransformation(
          lambda params: optax.EmptyState(), match_rms
        ),
      ),
      False: optax.scale_by_adam(
        b1=config.beta1, b2=config.beta2, eps=config.epsilon
      ),
    },
    matrix_mask,
  )


def matrix_mask(params: optax.Params) -> optax.Params:
  """True for the kernels between hidden states; logits are none."""

  def is_matrix(path: tuple, _: Any) -> bool:
    name = leaf_name(path)
    return name.endswith("/kernel") and not name.startswith(
      ("pair_head/", "classifier/")
    )

  return jax.tree_util.tree_map_with_path(is_matrix, params)


def matrix_axes(kernels: optax.Params) -> optax.Params:
  """Say which axes of each kernel its inputs and its outputs are."""

  def axes(path: tuple, kernel: Any) -> MuonDimensionNumbers:
    first = 1 if is_stacked(path) else 0
    # Heads and their width are inputs of what merges them, else outputs.
    middle = first + (2 if leaf_name(path).endswith("/out/kernel") else 1)
    return MuonDimensionNumbers(
      tuple(range(first, middle)), tuple(range(middle, kernel.ndim))
    )

  return jax.tree_util.tree_map_with_path(axes, kernels)


def _scaled(update: jax.Array, axes: Any) -> jax.Array:
  # An orthogonal m × n matrix has a root mean square of 1 / √max(m, n).
  larger = max(
    np.prod([update.shape[axis] for axis in side])
    for side in (axes.reduction_axis, axes.output_axis)
  )
  return update * np.float32(UPDATE_RMS * larger**0.5)
