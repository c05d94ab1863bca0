# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The state that a trial begins with."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from bertjax.checkpoints.bundle import BundleInfo, load_params
from bertjax.checkpoints.transfer import graft, with_highest_layers
from bertjax.finetune.programs import Programs
from bertjax.model.parameters import CLASSIFIER, POOLER, heads
from bertjax.train.state import TrainState


def make_start(
  programs: Programs, info: BundleInfo, reinitialized: int = 0
) -> Callable[[int], TrainState]:
  """Return seed → a state with the bundle's parameters and a fresh head.

  A pooler that no loss of pre-training reached is made anew with the head.

  Args:
    programs: functions that will train the state.
    info: the bundle.
    reinitialized: number of the highest layers that are made anew, too, and
      the pooler with them.

  Raises:
    ValueError: the parameters of the bundle do not fit; the message names
      both sides (law 9).
  """
  source = load_params(info, programs.abstract.params)
  skip = heads(programs.abstract.params, source)
  keeps_pooler = info.details.pooler_trained and not reinitialized
  if POOLER not in programs.abstract.params:
    keeps_pooler = POOLER not in source
  if not keeps_pooler:
    skip += (POOLER,)

  def start(seed: int) -> TrainState:
    state = programs.initialize(seed)
    params = graft(state.params, source, skip=skip)
    if reinitialized:
      params = with_highest_layers(params, state.params, reinitialized)
    # A copy, because the first step consumes the state.
    params = jax.tree.map(jnp.copy, params)
    return TrainState(state.step, params, state.opt_state)

  return start


def with_first_bias(
  start: Callable[[int], TrainState], bias: Sequence[float]
) -> Callable[[int], TrainState]:
  """Return `start` with a head whose outputs begin at `bias`.

  A head for scores near 3 takes most of a short training to climb there from
  zero.

  Args:
    start: seed → a state.
    bias: one number for each output; none leaves the state as it is.
  """
  if not bias:
    return start

  def with_bias(seed: int) -> TrainState:
    state = start(seed)
    head = state.params[CLASSIFIER]
    old = head["dense"]["bias"]
    new = jax.device_put(np.asarray(bias, old.dtype), old.sharding)
    dense = {**head["dense"], "bias": new}
    params = {**state.params, CLASSIFIER: {**head, "dense": dense}}
    return TrainState(state.step, params, state.opt_state)

  return with_bias
