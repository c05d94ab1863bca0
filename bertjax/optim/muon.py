# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Muon's direction for the hidden matrices, Adam's for everything else."""

import math
from typing import Any

import jax
import numpy as np
import optax
from optax.contrib import MuonDimensionNumbers, scale_by_muon

from bertjax.config import OptimizerConfig
from bertjax.model.parameters import Parameter, map_parameters
from bertjax.optim.newton_schulz import orthogonalize

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

  def replace(
    updates: optax.Updates, state: Any, params: optax.Params | None = None
  ) -> tuple[optax.Updates, Any]:
    del params
    return jax.tree.map(_orthogonal, updates, matrix_axes(updates)), state

  return optax.partition(
    {
      True: optax.chain(
        # Momentum, divided by its norm: without a step of its own iteration
        # optax's transform leaves each matrix there.
        scale_by_muon(ns_steps=0, weight_dimension_numbers=matrix_axes),
        optax.GradientTransformation(
          lambda params: optax.EmptyState(), replace
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


def _orthogonal(update: jax.Array, axes: Any) -> jax.Array:
  """Return an update of the root mean square UPDATE_RMS, layer by layer."""
  inputs, outputs = (
    math.prod(update.shape[axis] for axis in side)
    for side in (axes.reduction_axis, axes.output_axis)
  )
  orthogonal = orthogonalize(update.reshape(-1, inputs, outputs))
  # An orthogonal m × n matrix has a root mean square of 1 / √max(m, n).
  scale = np.float32(UPDATE_RMS * max(inputs, outputs) ** 0.5)
  return orthogonal.reshape(update.shape) * scale
