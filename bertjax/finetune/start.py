# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The state that a trial from a bundle begins with."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from bertjax.checkpoints.bundle import BundleInfo, load_params
from bertjax.checkpoints.transfer import graft, with_highest_layers
from bertjax.finetune.programs import Programs
from bertjax.model.parameters import POOLER, heads
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
  if not (keeps_pooler and POOLER in programs.abstract.params):
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
