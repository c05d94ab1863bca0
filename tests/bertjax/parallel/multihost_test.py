# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Differences are named; a run of one process agrees with itself."""

import inspect

import pytest
from jax._src import clusters, distributed

from bertjax.parallel import multihost


def test_in_a_single_process_each_call_is_a_plain_call():
  assert multihost.process_count() == 1
  assert (
    multihost.run_on_all("x", lambda: 3, facts=lambda made: {"x": made}) == 3
  )
  assert multihost.broadcast_from_first("x", lambda: (1, 2)) == (1, 2)
  with pytest.raises(OSError, match="no disk"):
    multihost.broadcast_from_first("x", lambda: raising(OSError("no disk")))
  assert multihost.all_gather("x", 1) == [1]


def raising(error):
  raise error


def test_equal_facts_do_not_differ():
  assert multihost.describe_differences([{"a": 1, "b": [2]}] * 3) == ""
  assert multihost.describe_differences([]) == ""


def test_processes_of_each_value_are_named_in_spans():
  told = multihost.describe_differences(
    [{"a": 1}, {"a": 2}, {"a": 1}, {"a": 1}, {}, {"a": 1}]
  )
  assert (
    "a is 1 on processes 0, 2-3, 5, 2 on process 1, absent on process 4;"
  ) in told


def test_many_differences_stay_one_readable_line():
  left = {f"source {number}": "a" for number in range(40)}
  right = dict.fromkeys(left, "b")
  told = multihost.describe_differences([left, right])
  assert "source 4 " in told
  assert "source 5 " not in told
  assert "and 35 more" in told
  assert "\n" not in told


def test_this_jax_has_the_private_names_that_start_up_and_agreement_need():
  """The next JAX that moves one of them fails here, by its name."""
  state = distributed.global_state
  assert (state.process_id, state.num_processes) == (0, 1)
  assert hasattr(state, "client")
  client = vars(distributed)["_jax"].DistributedRuntimeClient
  for name in (
    "key_value_set",
    "blocking_key_value_get",
    "key_value_try_get",
    "key_value_delete",
  ):
    assert callable(getattr(client, name)), name
  detect = clusters.ClusterEnv.auto_detect_unset_distributed_params
  assert list(inspect.signature(detect).parameters) == [
    "coordinator_address",
    "num_processes",
    "process_id",
    "local_device_ids",
    "cluster_detection_method",
    "initialization_timeout",
  ]


class Store:
  """The key-value store of process 0, whose peer always answers."""

  def __init__(self):
    self.values = {}

  def key_value_set(self, key, value):
    assert key not in self.values
    self.values[key] = value

  def blocking_key_value_get(self, key, milliseconds):
    del milliseconds
    return self.values.setdefault(key, "7")

  def key_value_delete(self, key):
    for each in list(self.values):
      if each == key or each.startswith(f"{key}/"):
        del self.values[each]


def test_a_long_run_does_not_fill_the_store(monkeypatch):
  store = Store()
  monkeypatch.setattr(multihost, "_client", lambda: store)
  monkeypatch.setattr(multihost, "process_count", lambda: 2)
  monkeypatch.setattr(multihost, "process_index", lambda: 0)
  monkeypatch.setattr(multihost, "_unread", [])
  kept = multihost.unique_key("stop")
  multihost.kv_set(kept, "15")
  for number in range(50):
    assert multihost.all_gather("memo", number) == [number, 7]
    assert multihost.broadcast_from_first("owner", lambda: None) is None
    assert len(store.values) <= 1 + 3 + 1
  assert store.values[kept] == "15"
