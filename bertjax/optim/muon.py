# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Muon's direction for the hidden matrices, Adam's for everything else."""

from typing import Any

import jax
import numpy as np
import optax
from optax.contrib import MuonDimensionNumbers, scale_by_muon

from bertjax.config import OptimizerConfig
from bertjax.model.parameters import Parameter, map_parameters

# The usual root mean square of Adam's updates. With it, one learning rate and
# one weight decay serve both (Liu et al., 2025, arXiv 2502.16982, section 2.2).
UPDATE_RMS = 0.2


def scale_by_muon_and_adam(
  config: OptimizerConfig,
) -> optax.GradientTransformation:
  """Orthogonalize the momentum of hidden matrices; use Adam for the rest.

  Jordan et al. (2024): all singular values of a matrix's update are near one.
  Each layer of a stacked kernel is one matrix. Tables, biases, norms and the
  kernels that make logits are updated by Adam with bias correction.
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
    hidden_mask,
  )


def hidden_mask(params: optax.Params) -> optax.Params:
  """Return True for the kernels between hidden states."""
  return map_parameters(lambda row, _: row.is_hidden, params)


def matrix_axes(kernels: optax.Params) -> optax.Params:
  """Return the input axes and the output axes of each kernel."""

  def axes(row: Parameter, kernel: Any) -> MuonDimensionNumbers:
    first = int(row.is_stacked)
    middle = first + row.inputs
    return MuonDimensionNumbers(
      tuple(range(first, middle)), tuple(range(middle, kernel.ndim))
    )

  return map_parameters(axes, kernels)


def _scaled(update: jax.Array, axes: Any) -> jax.Array:
  # An orthogonal m × n matrix has a root mean square of 1 / √max(m, n).
  larger = max(
    np.prod([update.shape[axis] for axis in side])
    for side in (axes.reduction_axis, axes.output_axis)
  )
  return update * np.float32(UPDATE_RMS * larger**0.5)
