# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A checkpoint is trusted when it is committed and its digests match."""

import dataclasses
import gc
import logging

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from bertjax.checkpoints import checkpoint, records
from bertjax.config import CheckpointConfig, MeshConfig
from bertjax.parallel import multihost
from bertjax.parallel.mesh import make_mesh
from bertjax.train import state
from tests.testing import toy

# Where one array of a checkpoint is broken, Orbax leaves the reading of the
# others unfinished, and Python says so when it collects them.
pytestmark = pytest.mark.filterwarnings(
  "ignore::pytest.PytestUnraisableExceptionWarning"
)

MESH = MeshConfig(data=2, fsdp=2, tensor=2)


@pytest.fixture(autouse=True)
def collected():
  """Collect what a test left while its warnings are still ignored."""
  yield
  gc.collect()


def optimizer():
  return optax.sgd(0.1, momentum=0.9)


def make(mesh_config=MESH, seed=0):
  mesh = make_mesh(mesh_config)
  return state.make_state(toy.init_params, optimizer(), mesh, seed=seed)


def at(step, start):
  """A state at `step` whose parameters tell which step it is."""
  move = lambda leaf: jax.device_put(
    np.asarray(leaf) + np.asarray(step, leaf.dtype), leaf.sharding
  )
  moved = jax.tree.map(move, start)
  return moved.replace(step=jax.device_put(np.int32(step), start.step.sharding))


def equal(left, right):
  jax.tree.map(np.testing.assert_array_equal, left, right)


@pytest.fixture(scope="module")
def start():
  return make()


@pytest.fixture
def saved(tmp_path, start):
  store = checkpoint.Checkpoints(tmp_path / "c", CheckpointConfig(keep_last=3))
  for step in (2, 4, 6):
    store.save(at(step, start), step, {"memo": step})
  store.close()
  return tmp_path / "c"


def open_again(folder, **settings):
  return checkpoint.Checkpoints(folder, CheckpointConfig(**settings))


def test_what_is_restored_is_what_was_saved_on_any_mesh(saved, start):
  for config in (MESH, MeshConfig(data=1, fsdp=4, tensor=2)):
    other = make(config, seed=9)
    store = open_again(saved)
    restored = store.restore(other)
    store.close()
    assert restored is not None
    assert restored.record == {"memo": 6}
    equal(at(6, start), restored.state)
    jax.tree.map(
      lambda left, right: (
        left.sharding == right.sharding or pytest.fail("other")
      ),
      other,
      restored.state,
    )


@pytest.fixture(scope="module")
def noise():
  """A state whose array fills a file of its own: what Orbax does not check."""
  values = np.random.default_rng(0).normal(size=(256, 256))
  return state.TrainState(
    step=jnp.zeros((), jnp.int32),
    params={"kernel": jnp.asarray(values, jnp.float32)},
    opt_state=(),
  )


@pytest.mark.parametrize(
  "place",
  [0.5, *(pytest.param(each, marks=pytest.mark.full) for each in (0.2, 0.8))],
)
def test_a_flipped_byte_falls_back_to_the_step_before(
  tmp_path, noise, caplog, place
):
  store = open_again(tmp_path)
  for step in (2, 4):
    store.save(at(step, noise), step, {"memo": step})
  store.close()
  folder = tmp_path / "4" / "params"
  path = max(folder.rglob("d/*"), key=lambda path: path.stat().st_size)
  data = bytearray(path.read_bytes())
  assert len(data) > 200_000
  data[int(len(data) * place)] ^= 0x10
  path.write_bytes(data)
  store = open_again(tmp_path)
  with caplog.at_level(logging.WARNING):
    restored = store.restore(noise)
  assert restored is not None
  assert restored.record == {"memo": 2}
  equal(at(2, noise), restored.state)
  assert "checkpoint 4 is damaged: kernel does not match" in caplog.text
  assert "restoring step 2" in caplog.text
  # The step can be saved again, and what was damaged can be looked at.
  store.save(at(4, noise), 4, {"memo": "again"})
  store.close()
  assert (tmp_path / checkpoint.UNREADABLE / "4").is_dir()
  again = open_again(tmp_path)
  assert again.steps() == [2, 4]
  with pytest.raises(ValueError, match="only the checkpoint has params/kernel"):
    again.restore(dataclasses.replace(noise, params={}))
  again.close()


@pytest.mark.parametrize("item", ["params", "opt_state", "record"])
def test_no_bit_of_any_item_goes_unnoticed(saved, start, item):
  """A byte in the middle of each file, one at a time; none is restored."""
  generator = np.random.default_rng(0)
  for path in sorted((saved / "6" / item).rglob("*")):
    if not path.is_file() or not path.stat().st_size:
      continue
    whole = path.read_bytes()
    data = bytearray(whole)
    data[generator.integers(len(data))] ^= 1 << int(generator.integers(8))
    path.write_bytes(data)
    store = open_again(saved)
    restored = store.restore(start)
    store.close()
    assert restored is not None
    equal(at(restored.record["memo"], start), restored.state)
    for folder in (saved / checkpoint.UNREADABLE).glob("6*"):
      folder.rename(saved / "6")
    path.write_bytes(whole)


def test_all_processes_are_told_of_a_record_that_one_cannot_read(
  saved, start, monkeypatch
):
  """Or it would go on to the step before while the others wait for it."""
  told = []

  def alike(topic, make, *, error=ValueError):
    try:
      return make()
    except error as fault:
      told.append((topic, str(fault)))
      raise

  monkeypatch.setattr(multihost, "run_on_all", alike)
  path = saved / "6" / "record" / "metadata"
  path.write_text(path.read_text().replace('"memo"', '"nemo"'))
  store = open_again(saved)
  restored = store.restore(start)
  store.close()
  assert restored is not None
  assert restored.record == {"memo": 4}
  ((topic, fault),) = told
  assert topic == "record"
  assert "does not match its sha256" in fault


@pytest.mark.parametrize("error", [MemoryError(), PermissionError("mount")])
def test_what_the_system_lacks_moves_no_checkpoint(
  saved, start, monkeypatch, error
):
  def fail(*_, **__):
    raise error

  store = open_again(saved)
  with monkeypatch.context() as patch:
    patch.setattr(checkpoint.ocp.Checkpointer, "restore", fail)
    with pytest.raises(type(error)):
      store.restore(start)
    with pytest.raises(type(error)):
      store.read_params()
  assert not (saved / checkpoint.UNREADABLE).exists()
  restored = store.restore(start)
  store.close()
  assert restored is not None
  assert restored.record == {"memo": 6}


def test_a_step_under_another_name_is_not_that_step(saved, start, caplog):
  (saved / "6").rename(saved / "8")
  assert records.read_newest_record(saved) == {"memo": 4}
  store = open_again(saved)
  restored = store.restore(start)
  assert restored is not None
  assert restored.record == {"memo": 4}
  assert "checkpoint 8 is damaged: its record is that of step 6" in caplog.text
  assert f"moved steps [8] to {saved}/{checkpoint.UNREADABLE}" in caplog.text
  store.save(at(6, start), 6, {"memo": 6})
  store.close()
  assert records.read_newest_record(saved) == {"memo": 6}


def test_an_uncommitted_step_does_not_exist(saved, start):
  (saved / "6" / "commit_success.txt").unlink()
  (saved / "8").mkdir()
  store = open_again(saved)
  assert store.steps() == [2, 4]
  restored = store.restore(start)
  assert restored is not None
  assert restored.record == {"memo": 4}
  store.save(at(6, start), 6, {"memo": 6})
  store.save(at(8, start), 8, {"memo": 8})
  store.close()
  assert open_again(saved).steps() == [4, 6, 8]


def test_nothing_whole_is_an_error_and_moves_nothing(saved, start):
  for path in saved.rglob("manifest.ocdbt"):
    path.write_bytes(b"")
  for _ in range(2):
    store = open_again(saved)
    with pytest.raises(ValueError, match="all checkpoints in ") as told:
      store.restore(start)
    assert "step 6: ValueError: DATA_LOSS" in str(told.value)
    assert "step 2: " in str(told.value)
    assert "delete" not in str(told.value)
    assert store.steps() == [2, 4, 6]
    store.close()


def test_another_dtype_or_shape_is_refused_and_not_cast(saved, start):
  half = start.replace(
    params=jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), start.params)
  )
  store = open_again(saved)
  with pytest.raises(ValueError, match=r"float32.*bfloat16"):
    store.restore(half)
  fewer = start.replace(params={"Embed_0": start.params["Embed_0"]})
  with pytest.raises(
    ValueError, match="only the checkpoint has params/Dense_0"
  ):
    store.restore(fewer)
  store.close()


def test_retention_keeps_the_last_and_every_so_many(tmp_path, start):
  store = open_again(tmp_path, keep_last=2, keep_every_steps=4)
  for step in range(1, 8):
    store.save(at(step, start), step, {})
  store.close()
  assert open_again(tmp_path).steps() == [4, 6, 7]


def test_saving_a_step_again_is_no_silent_success(saved, start):
  store = open_again(saved)
  with pytest.raises((OSError, ValueError)):
    store.save(at(6, start), 6, {})
  with pytest.raises((OSError, ValueError)):
    store.save(at(5, start), 5, {})
  store.close()


def test_a_donated_state_is_saved_as_it_was(tmp_path, start):
  store = open_again(tmp_path)
  current = at(1, start)
  bump = jax.jit(
    lambda tree: jax.tree.map(lambda leaf: leaf * 3 + 1, tree),
    donate_argnums=0,
  )
  expected = jax.device_get(current)
  store.save(current, 1, {})
  for _ in range(20):
    current = bump(current)
  store.close()
  restored = open_again(tmp_path).restore(start)
  assert restored is not None
  equal(expected, restored.state)


def test_parameters_alone_are_read_without_their_mesh(saved, start):
  store = checkpoint.Checkpoints(saved, CheckpointConfig(), read_only=True)
  step, params, record = store.read_params()
  assert (step, record) == (6, {"memo": 6})
  equal(at(6, start).params, params)
  assert all(len(leaf.devices()) == 1 for leaf in jax.tree.leaves(params))
  assert store.read_params(4)[0] == 4
  with pytest.raises(ValueError, match=r"step 5.*\[2, 4, 6\]"):
    store.read_params(5)
  store.close()
