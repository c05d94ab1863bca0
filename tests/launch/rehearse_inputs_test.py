# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What a rehearsal refuses, passes to its processes, and prints of them."""

import random

import pytest

from launch import rehearse


@pytest.mark.parametrize(
  ("command", "settings", "message"),
  [
    ([], {}, "no launcher is given"),
    (["launch.pretrian"], {}, "launch.pretrian is no module"),
    (["launch.pretrain"], {"processes": 0}, "--processes=0"),
    (["launch.pretrain"], {"devices_per_process": 0}, "_per_process=0"),
  ],
)
def test_a_mistake_is_refused_before_anything_starts(
  command, settings, message
):
  settings = {"processes": 2, "devices_per_process": 1, **settings}
  with pytest.raises(ValueError, match=message):
    rehearse.run(command, **settings)


def test_flags_of_xla_are_kept_and_devices_replaced(monkeypatch):
  monkeypatch.setenv(
    "XLA_FLAGS",
    "--xla_a=1 --xla_force_host_platform_device_count=3 "
    "--xla_cpu_collective_timeout_seconds=7",
  )
  found = rehearse.environment(2)
  assert found["XLA_FLAGS"].split() == [
    "--xla_a=1",
    "--xla_cpu_collective_timeout_seconds=7",
    "--xla_force_host_platform_device_count=2",
    "--xla_cpu_collective_call_terminate_timeout_seconds=300",
  ]
  assert found["JAX_PLATFORMS"] == "cpu"


def gloo(rank, peers):
  """The parts of lines that a thread of gloo writes."""
  return [
    *("[Gloo] Rank ", str(rank), " is connected to ", str(peers)),
    *(" peer ranks. ", "Expected number of connected peer ranks is : "),
    *(str(peers), "\n"),
  ]


@pytest.mark.parametrize("seed", range(50))
def test_gloo_is_left_out_however_its_threads_take_turns(seed):
  order = random.Random(seed)
  threads = [gloo(rank, 7) for rank in range(order.randint(1, 6))]
  written = []
  while threads:
    thread = order.choice(threads)
    written.append(thread.pop(0))
    threads = [each for each in threads if each]
  lines = "".join(written).splitlines(keepends=True)
  own = ["\n", "12\n", "step 8\n"]
  assert [*rehearse.without_gloo([*own, *lines, *own[::-1]])] == [
    *own,
    *own[::-1],
  ]


@pytest.mark.parametrize(
  "line",
  [
    "\n",
    "7\n",
    "a host is connected to 3\n",
    "[Gloo] Rank error: process 1: no store\n",
  ],
)
def test_a_line_with_any_other_text_is_kept_whole(line):
  lines = [line, "step 8\n", line]
  assert [*rehearse.without_gloo(lines)] == lines


@pytest.mark.parametrize("name", ["pretrain", "launch.pretrain"])
def test_a_launcher_is_named_by_its_command_or_its_module(name):
  rehearse.check([name, "--workdir=x"], 2, 4)
  assert rehearse._module(name) == "launch.pretrain"
