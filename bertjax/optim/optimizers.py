# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""One optimizer, read as a list of named transforms."""

import re
from collections.abc import Sequence
from typing import Any

import jax
import optax

from bertjax.config import OptimizerConfig
from bertjax.config.checks.ranges import one_of
from bertjax.model.parameters import leaf_name
from bertjax.optim.adamw import scale_by_uncorrected_adam
from bertjax.optim.clipping import clip_by_global_norm
from bertjax.optim.lamb import scale_by_layer_trust_ratio
from bertjax.optim.muon import scale_by_muon_and_adam


def _scale_by_corrected_adam(
  config: OptimizerConfig,
) -> optax.GradientTransformation:
  return _promoting(
    optax.scale_by_adam(b1=config.beta1, b2=config.beta2, eps=config.epsilon)
  )


def _scale_by_muon(config: OptimizerConfig) -> optax.GradientTransformation:
  return _promoting(scale_by_muon_and_adam(config))


def _promoting(
  inner: optax.GradientTransformation,
) -> optax.GradientTransformation:
  """Let `inner` raise a float to its integer count under strict promotion."""

  def update(
    updates: optax.Updates, state: Any, params: optax.Params | None = None
  ) -> tuple[optax.Updates, Any]:
    with jax.numpy_dtype_promotion("standard"):
      return inner.update(updates, state, params)

  return optax.GradientTransformation(inner.init, update)


# What each makes of a gradient, before decay and learning rate.
DIRECTIONS = {
  "adamw": scale_by_uncorrected_adam,
  "adamw_corrected": _scale_by_corrected_adam,
  "lamb": _scale_by_corrected_adam,
  "muon": _scale_by_muon,
}
# google-research/bert, optimization.py: everything decays but these.
UNDECAYED = re.compile(r"layer_norm|bias")


def make_optimizer(
  config: OptimizerConfig,
  schedule: optax.Schedule,
  *,
  inactive: Sequence[str] = (),
) -> optax.GradientTransformation:
  """Clip by the global norm, scale, decay, and step against the gradient.

  Args:
    config: `adamw` is BERT's (no bias correction); `adamw_corrected` is
      optax's, with it; `lamb` is that and gives direction and decay together
      the norm of what they change; `muon` orthogonalises the updates of
      hidden matrices and corrects. In all of them ε stands outside the root
      and the decay is decoupled and times the learning rate.
    schedule: step → learning rate; see `make_schedule`.
    inactive: paths (`pooler`, `encoder/layers`) of parameters that no loss
      reaches: no update, no decay, no slots. Each must exist.

  Raises:
    ValueError: an unknown name; at init, a path in `inactive` under which
      there is no parameter.
  """
  one_of(DIRECTIONS, "optimizer.name", config.name)
  # What does not decay is not adapted either: google-research/albert,
  # lamb_optimizer.py, and apex's FusedLAMB with its default use_nvlamb=False.
  by_layer = optax.masked(scale_by_layer_trust_ratio(), decay_mask)
  active = optax.chain(
    clip_by_global_norm(config.clip_norm),
    DIRECTIONS[config.name](config),
    optax.add_decayed_weights(config.weight_decay, decay_mask),
    *([by_layer] if config.name == "lamb" else []),
    optax.scale_by_learning_rate(schedule),
  )
  if not inactive:
    return active
  return optax.partition(
    {True: active, False: optax.set_to_zero()},
    lambda params: active_mask(params, inactive),
  )


def decay_mask(params: optax.Params) -> optax.Params:
  """True where a parameter decays: kernels and tables."""
  return jax.tree_util.tree_map_with_path(
    lambda path, _: UNDECAYED.search(leaf_name(path)) is None, params
  )


def active_mask(params: optax.Params, inactive: Sequence[str]) -> optax.Params:
  """False for every parameter under one of the paths `inactive`.

  Raises:
    ValueError: a path under which there is no parameter.
  """
  paths = jax.tree_util.tree_flatten_with_path(params)[0]
  names = [leaf_name(path) for path, _ in paths]
  for prefix in inactive:
    if not any(_under(name, prefix) for name in names):
      raise ValueError(
        f"inactive={prefix!r} holds no parameter; there are "
        f"{sorted({name.split('/')[0] for name in names})}"
      )
  return jax.tree_util.tree_map_with_path(
    lambda path, _: not any(_under(leaf_name(path), p) for p in inactive),
    params,
  )


def _under(name: str, prefix: str) -> bool:
  return name == prefix or name.startswith(prefix + "/")
