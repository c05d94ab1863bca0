# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Optimizers: clip, find a direction, decay, step."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from bertjax.config import OptimizerConfig, choices
from bertjax.model.parameters import (
  EMBEDDINGS,
  PARTS,
  Parameter,
  by_name,
  is_under,
  leaf_name,
  map_parameters,
)
from bertjax.optim.adamw import scale_by_uncorrected_adam
from bertjax.optim.lamb import scale_by_layer_trust_ratio
from bertjax.optim.muon import scale_by_muon_and_adam
from bertjax.optim.schedules import Schedule
from bertjax.optim.stable_adamw import clip_by_update_rms


def _scale_by_corrected_adam(
  config: OptimizerConfig,
) -> optax.GradientTransformation:
  return _promoting(
    optax.scale_by_adam(b1=config.beta1, b2=config.beta2, eps=config.epsilon)
  )


def _promoting(
  inner: optax.GradientTransformation,
) -> optax.GradientTransformation:
  """Allow `inner` to mix floats with its integer count, as optax does."""

  def update(
    updates: optax.Updates, state: Any, params: optax.Params | None = None
  ) -> tuple[optax.Updates, Any]:
    with jax.numpy_dtype_promotion("standard"):
      return inner.update(updates, state, params)

  return optax.GradientTransformation(inner.init, update)


def make_decay_mask(
  config: OptimizerConfig,
) -> Callable[[optax.Params], optax.Params]:
  """Return parameters → True for every parameter that decays."""

  def decays(row: Parameter, _: Any) -> bool:
    if is_under(row.name, [EMBEDDINGS]) and not config.decay_embeddings:
      return False
    if PARTS[row.part].is_head and not config.decay_heads:
      return False
    return row.decays

  return lambda params: map_parameters(decays, params)


def decay_mask(params: optax.Params) -> optax.Params:
  """Return True for every parameter that decays if nothing is spared."""
  return map_parameters(lambda row, _: row.decays, params)


class UpdateRule(NamedTuple):
  """The transforms that define one optimizer.

  Attributes:
    direction: config → the transform of a gradient into a direction.
    after_decay: transforms of the direction and the weight decay together.
    around: (direction and decay, config) → a transform that contains them, and
      so knows the gradients as well.
  """

  direction: Callable[[OptimizerConfig], optax.GradientTransformation]
  after_decay: tuple[optax.GradientTransformation, ...] = ()
  around: (
    Callable[
      [optax.GradientTransformation, OptimizerConfig],
      optax.GradientTransformation,
    ]
    | None
  ) = None


# By name, as in `OptimizerConfig.name`.
UPDATE_RULES = {
  "adamw": UpdateRule(scale_by_uncorrected_adam),
  "adamw_corrected": UpdateRule(_scale_by_corrected_adam),
  "lamb": UpdateRule(
    _scale_by_corrected_adam,
    # Biases and layer norms are not scaled: google-research/albert,
    # lamb_optimizer.py, and apex's FusedLAMB with its use_nvlamb=False.
    (optax.masked(scale_by_layer_trust_ratio(), decay_mask),),
  ),
  "stable_adamw": UpdateRule(
    _scale_by_corrected_adam, around=clip_by_update_rms
  ),
  "muon": UpdateRule(lambda config: _promoting(scale_by_muon_and_adam(config))),
}
assert set(UPDATE_RULES) == set(choices(OptimizerConfig, "name"))


def make_optimizer(
  config: OptimizerConfig,
  schedule: Schedule,
  *,
  inactive: Sequence[str] = (),
) -> optax.GradientTransformationExtraArgs:
  """Clip by the global norm, scale, decay, and step against the gradient.

  Args:
    config: `adamw` is BERT's, without bias correction; `adamw_corrected` is
      optax's, with it. `lamb` scales the update of `adamw_corrected`, decay
      included, to the norm of the parameter. `stable_adamw` is
      `adamw_corrected` with clipped updates. `muon` orthogonalizes the updates
      of hidden matrices. In all of them ε is added outside the root, and the
      decay is decoupled and multiplied by the learning rate.
    schedule: step → learning rate; see `make_schedule`. `update` takes other
      numbers of such a schedule as `schedule_numbers`.
    inactive: paths such as `pooler` or `encoder/layers`. The parameters below
      them get no update, no decay and no optimizer state.

  Raises:
    ValueError: at init, a path in `inactive` without a parameter, or a
      parameter that `model/parameters.py` does not know.
  """
  rule = UPDATE_RULES[config.name]
  decay = optax.add_decayed_weights(
    config.weight_decay, make_decay_mask(config)
  )
  decayed = (rule.direction(config), decay)
  if rule.around is not None:
    decayed = (rule.around(optax.chain(*decayed), config),)
  active = optax.chain(
    clip_by_global_norm(config.clip_norm),
    *decayed,
    *rule.after_decay,
    _scale_by_schedule(schedule),
  )
  if not inactive:
    return active
  return optax.partition(
    {True: active, False: optax.set_to_zero()},
    lambda params: active_mask(params, inactive),
  )


def _scale_by_schedule(
  schedule: Schedule,
) -> optax.GradientTransformationExtraArgs:
  """Step against the update, as `optax.scale_by_learning_rate` does."""

  def update(
    updates: optax.Updates,
    state: Any,
    params: optax.Params | None = None,
    *,
    schedule_numbers: Any = None,
    **_: Any,
  ) -> tuple[optax.Updates, Any]:
    given = schedule_numbers is not None
    own = schedule.with_numbers(schedule_numbers) if given else schedule
    return optax.scale_by_learning_rate(own).update(updates, state, params)

  init = optax.scale_by_learning_rate(schedule).init
  return optax.GradientTransformationExtraArgs(init, update)


def clip_by_global_norm(limit: float) -> optax.GradientTransformation:
  """Scale all gradients by limit / norm if their norm exceeds `limit`.

  The same function as `optax.clip_by_global_norm`, but multiplying by one
  factor instead of dividing every element: compilers fuse the product into
  the update that follows, and keep the quotients as arrays of their own.
  """

  def update(
    updates: optax.Updates, state: Any, params: optax.Params | None = None
  ) -> tuple[optax.Updates, Any]:
    del params
    factor = limit / jnp.maximum(optax.tree.norm(updates), limit)
    return jax.tree.map(lambda leaf: leaf * factor, updates), state

  return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def active_mask(params: optax.Params, inactive: Sequence[str]) -> optax.Params:
  """Return False for every parameter under one of the paths `inactive`.

  Raises:
    ValueError: a path under which there is no parameter.
  """
  names = by_name(params)
  for prefix in inactive:
    if not any(is_under(name, [prefix]) for name in names):
      raise ValueError(
        f"inactive={prefix!r} holds no parameter; give a path under "
        f"{', '.join(sorted({name.split('/')[0] for name in names}))}"
      )
  return jax.tree.map_with_path(
    lambda path, _: not is_under(leaf_name(path), inactive), params
  )
