# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A lost peer is a reason to start again; what would come again is none."""

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
def test_a_lost_peer_is_started_again(text, monkeypatch):
  assert code_of(jax.errors.JaxRuntimeError(text), monkeypatch) == 42
  assert code_of(RuntimeError(text), monkeypatch) == 1, "of no computation"


@pytest.mark.parametrize("text", OWN)
def test_what_would_come_again_is_not(text, monkeypatch):
  assert code_of(jax.errors.JaxRuntimeError(text), monkeypatch) == 1
