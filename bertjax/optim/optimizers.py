# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""One optimizer, read as a list of named transforms."""

import re
from collections.abc import Sequence
from typing import Any

import jax
import optax

from bertjax.config import OptimizerConfig
from bertjax.optim.adamw import scale_by_uncorrected_adam
from bertjax.optim.clipping import clip_by_global_norm
from bertjax.optim.schedules import make_schedule

OPTIMIZERS = ("adamw", "adamw_corrected")
# google-research/bert, optimization.py: everything decays but these.
UNDECAYED = re.compile(r"layer_norm|bias")


def make_optimizer(
  config: OptimizerConfig, steps: int, *, inactive: Sequence[str] = ()
) -> optax.GradientTransformation:
  """Clip by the global norm, scale, decay, and step against the gradient.

  Args:
    config: `adamw` is BERT's (no bias correction); `adamw_corrected` is
      optax's, with it. In both ε stands outside the root and the decay is
      decoupled and times the learning rate.
    steps: length of the schedule.
    inactive: paths (`pooler`, `encoder/layers`) of parameters that no loss
      reaches: no update, no decay, no slots. Each must exist.

  Raises:
    ValueError: an unknown name or schedule; at init, a path in `inactive`
      under which there is no parameter.
  """
  schedule = make_schedule(config, steps)
  if config.name not in OPTIMIZERS:
    raise ValueError(
      f"optimizer.name={config.name!r}; give one of {OPTIMIZERS}"
    )
  if config.name == "adamw":
    scale = [
      scale_by_uncorrected_adam(config),
      optax.add_decayed_weights(config.weight_decay, decay_mask),
      optax.scale_by_learning_rate(schedule),
    ]
  else:
    scale = [
      _promoting(
        optax.adamw(
          schedule,
          b1=config.beta1,
          b2=config.beta2,
          eps=config.epsilon,
          weight_decay=config.weight_decay,
          mask=decay_mask,
        )
      )
    ]
  active = optax.chain(clip_by_global_norm(config.clip_norm), *scale)
  if not inactive:
    return active
  return optax.partition(
    {True: active, False: optax.set_to_zero()},
    lambda params: active_mask(params, inactive),
  )


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


def decay_mask(params: optax.Params) -> optax.Params:
  """True where a parameter decays: kernels and tables."""
  return jax.tree_util.tree_map_with_path(
    lambda path, _: UNDECAYED.search(_name(path)) is None, params
  )


def active_mask(params: optax.Params, inactive: Sequence[str]) -> optax.Params:
  """False for every parameter under one of the paths `inactive`.

  Raises:
    ValueError: a path under which there is no parameter.
  """
  paths = jax.tree_util.tree_flatten_with_path(params)[0]
  names = [_name(path) for path, _ in paths]
  for prefix in inactive:
    if not any(_under(name, prefix) for name in names):
      raise ValueError(
        f"inactive={prefix!r} holds no parameter; there are "
        f"{sorted({name.split('/')[0] for name in names})}"
      )
  return jax.tree_util.tree_map_with_path(
    lambda path, _: not any(_under(_name(path), p) for p in inactive), params
  )


def _under(name: str, prefix: str) -> bool:
  return name == prefix or name.startswith(prefix + "/")


def _name(path: tuple) -> str:
  return jax.tree_util.keystr(path, simple=True, separator="/")
