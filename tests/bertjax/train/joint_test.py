# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from bertjax.config import MeshConfig
from bertjax.parallel.mesh import make_mesh
from bertjax.train import joint
from bertjax.train.state import TrainState


def make_states(mesh):
  """States of three runs whose parameters are sharded over `data`."""
  over = NamedSharding(mesh, PartitionSpec("data"))
  whole = NamedSharding(mesh, PartitionSpec())
  return [
    TrainState(
      step=jax.device_put(np.int32(5), whole),
      params={"kernel": jax.device_put(np.full((4, 2), run, np.float32), over)},
      opt_state=(jax.device_put(np.float32(10 * run), whole),),
    )
    for run in range(3)
  ]


def test_states_are_stacked_and_taken_apart_as_they_were_sharded():
  mesh = make_mesh(MeshConfig(data=4), jax.devices()[:4])
  states = make_states(mesh)
  stacked = joint.stack_states(states, 3)
  assert stacked.step.shape == ()
  assert stacked.params["kernel"].shape == (3, 4, 2)
  spec = stacked.params["kernel"].sharding.spec
  assert spec == PartitionSpec(None, "data")
  np.testing.assert_array_equal(stacked.opt_state[0], [0, 10, 20])
  abstract = joint.stacked_abstract(states[0], 3)
  for leaf, like in zip(
    jax.tree.leaves(stacked), jax.tree.leaves(abstract), strict=True
  ):
    assert (leaf.shape, leaf.dtype) == (like.shape, like.dtype)
    assert leaf.sharding.is_equivalent_to(like.sharding, leaf.ndim)
  take = joint.make_taker(states[0])
  for run, state in enumerate(states):
    taken = take(stacked.params, run)["kernel"]
    np.testing.assert_array_equal(taken, state.params["kernel"])
    assert taken.sharding == state.params["kernel"].sharding


def test_no_two_states_are_beside_the_stack():
  """It would need twice its memory before the first step."""
  mesh = make_mesh(MeshConfig(data=4), jax.devices()[:4])
  over = NamedSharding(mesh, PartitionSpec("data"))
  whole = NamedSharding(mesh, PartitionSpec())
  living = []

  def states():
    for run in range(4):
      living.append(sum(each.nbytes for each in jax.live_arrays()))
      params = jax.device_put(np.full((64, 64), run, np.float32), over)
      yield TrainState(jax.device_put(np.int32(0), whole), params, ())
      del params

  stacked = joint.stack_states(states(), 4)
  np.testing.assert_array_equal(stacked.params[:, 0, 0], range(4))
  before, *later = living
  one = 64 * 64 * 4
  assert {each - before for each in later} <= set(range(4 * one, 4 * one + 9))


def test_rows_stay_the_first_axis_of_a_batch():
  batches = [{"tokens_BS": np.full((4, 6), run)} for run in range(3)]
  tokens = joint.stack_batches(batches)["tokens_BS"]
  assert tokens.shape == (4, 3, 6)
  np.testing.assert_array_equal(tokens[:, 2], batches[2]["tokens_BS"])


def test_runs_share_their_step_and_nothing_else():
  def step(state, batch, seed):
    params = state.params + batch.mean() + seed
    return TrainState(state.step + 1, params, state.opt_state), {"loss": params}

  state = TrainState(jnp.int32(3), jnp.asarray([1.0, jnp.nan]), jnp.zeros(2))
  batch_BN = jnp.asarray([[1.0, 2.0], [3.0, 4.0]])
  after, metrics = joint.mapped(step)(state, batch_BN, jnp.asarray([10.0, 0]))
  assert after.step.shape == ()
  np.testing.assert_array_equal(after.params, [13.0, np.nan])
  np.testing.assert_array_equal(metrics["loss"], after.params)
