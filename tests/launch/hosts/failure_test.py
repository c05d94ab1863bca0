# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A lost process asks for a restart; an error that would recur does not."""

import os
import sys

import jax
import pytest

from bertjax.parallel import multihost
from launch.hosts import failure

LOST = (
  "UNAVAILABLE: failed to connect to all addresses",
  "DEADLINE_EXCEEDED: Barrier timed out",
  "ABORTED: connection reset",
  "CANCELLED: the step was cancelled",
  "INTERNAL: NCCL operation failed",
  "UNKNOWN: Gloo all-reduce failed: Connection closed by peer",
)
OWN = (
  "INVALID_ARGUMENT: Slice size 9 is INTERNAL to nothing",
  "UNIMPLEMENTED: no such instruction",
  "RESOURCE_EXHAUSTED: Out of memory",
  "INTERNAL: RESOURCE_EXHAUSTED: Out of memory",
  "UNKNOWN: something else",
)


def code_of(error, monkeypatch):
  monkeypatch.setattr(multihost, "kv_set", lambda key, value: None)
  for name in ("_LAST_SECONDS", "_LINGER_SECONDS"):
    monkeypatch.setattr(failure, name, 0)
  monkeypatch.setattr(os, "_exit", sys.exit)
  with pytest.raises(SystemExit) as left:
    failure.exit_all(error, None, restart=42)
  failure._exiting.clear()
  return left.value.code


@pytest.mark.parametrize("text", LOST)
def test_a_lost_process_asks_for_a_restart(text, monkeypatch):
  assert code_of(jax.errors.JaxRuntimeError(text), monkeypatch) == 42
  assert code_of(RuntimeError(text), monkeypatch) == 1, (
    "not an error of a computation"
  )


@pytest.mark.parametrize("text", OWN)
def test_an_error_that_would_recur_ends_the_run(text, monkeypatch):
  assert code_of(jax.errors.JaxRuntimeError(text), monkeypatch) == 1
