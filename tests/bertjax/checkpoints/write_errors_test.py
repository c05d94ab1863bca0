# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A full disk is one line, which says where the run goes on."""

import errno
import logging
import os
import pathlib

import jax
import optax
import pytest

from bertjax.checkpoints import checkpoint, digest, write_errors
from bertjax.config import CheckpointConfig, MeshConfig
from bertjax.parallel.mesh import make_mesh
from bertjax.train import state
from tests.testing import toy

FULL = (
  'RESOURCE_EXHAUSTED: Error writing "1.mean/0" in OCDBT database at local '
  'file "/x/": Failed to write 1 bytes: No space left on device '
  "[os_error_code='28']"
)
LIMIT = "OUT_OF_RANGE: Failed to write 9 bytes [os_error_code='27']"


@pytest.mark.parametrize(
  ("error", "kind", "reason"),
  [
    (ValueError(FULL), OSError, "No space left on device"),
    (ValueError(LIMIT), OSError, "File too large"),
    (OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)), OSError, "Disk quota"),
    (FileNotFoundError(errno.ENOENT, "gone"), OSError, "No such file"),
    (OSError(errno.ESTALE, "stale"), digest.Unavailable, "Stale file handle"),
    (ValueError("UNAVAILABLE: no server"), digest.Unavailable, "UNAVAILABLE"),
  ],
)
def test_a_write_that_fails_is_one_line(error, kind, reason):
  with (
    pytest.raises(kind, match=rf"^cannot write w/c: {reason}.*; do so$") as e,
    write_errors.writing(pathlib.Path("w/c"), lambda: "do so"),
  ):
    raise error
  assert type(e.value) is kind
  assert "\n" not in str(e.value)


@pytest.mark.parametrize(
  "error",
  [
    OSError("step 5 was not saved"),
    ValueError("Checkpoint for step 5 already exists."),
    jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory"),
  ],
)
def test_another_error_is_itself(error):
  with (
    pytest.raises(type(error)) as raised,
    write_errors.writing(pathlib.Path("w"), lambda: "do so"),
  ):
    raise error
  assert raised.value is error


def test_what_orbax_logs_of_it_is_one_line(caplog):
  write_errors._log_once.__wrapped__()
  text = "a thread failed"

  def record(error, path, name="absl"):
    log, exc_info = logging.getLogger(name), (type(error), error, None)
    log.handle(log.makeRecord(name, logging.ERROR, path, 1, text, (), exc_info))

  try:
    for _ in range(3):
      record(ValueError(FULL), "/site/orbax/checkpoint/future.py")
    record(ValueError(FULL), "/asyncio/base_events.py", "asyncio")
    record(KeyError("x"), "/site/orbax/checkpoint/future.py")
    record(ValueError(FULL), "/site/else.py")
  finally:
    for name in ("absl", "asyncio"):
      log = logging.getLogger(name)
      log.removeFilter(log.filters[-1])
  said = [each.getMessage() for each in caplog.records]
  assert said == ["a write failed: No space left on device", text, text]
  assert [bool(each.exc_info) for each in caplog.records] == [False, True, True]


def test_a_full_disk_names_the_step_to_go_on_from(tmp_path, monkeypatch):
  start = state.make_state(
    toy.init_params, optax.sgd(0.1), make_mesh(MeshConfig()), seed=0
  )
  store = checkpoint.Checkpoints(tmp_path, CheckpointConfig())
  full = lambda *_, **__: (_ for _ in ()).throw(ValueError(FULL))
  with monkeypatch.context() as patch:
    patch.setattr(store._manager, "save", full)
    with pytest.raises(OSError, match=r"again to go on from the start$"):
      store.save(start, 1, {})
  store.save(start, 2, {})
  wait = store._manager.wait_until_finished
  wait()
  with monkeypatch.context() as patch:
    patch.setattr(store._manager, "wait_until_finished", full)
    with pytest.raises(OSError, match=r"device; mend that, .* from step 2$"):
      store.close()
  store.close()
