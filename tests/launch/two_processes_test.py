# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Two processes train as one does, whichever axis lies across them."""

import json
import os
import pathlib
import socket
import subprocess
import sys

import jax
import numpy as np
import pytest

from tests.testing import compiling, corpus, processes

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
  return corpus.make_store(tmp_path_factory.mktemp("corpus"))


def free_port():
  with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    return probe.getsockname()[1]


def run_apart(store, folder, *trained):
  """Return what each of two processes saw, by layout; two devices each."""
  environment = {
    **os.environ,
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": "--xla_force_host_platform_device_count=2 " + compiling.FLAGS,
  }
  outputs = [folder / f"{number}.json" for number in range(2)]
  port = free_port()
  started = [
    subprocess.Popen(
      [
        *(sys.executable, "-m", "tests.testing.processes"),
        *(str(port), str(number), "2", store, str(output), *trained),
      ],
      cwd=ROOT,
      env=environment,
      stdout=subprocess.PIPE,
      stderr=subprocess.STDOUT,
      text=True,
    )
    for number, output in enumerate(outputs)
  ]
  try:
    told = [
      process.communicate(timeout=processes.SECONDS + 30)[0]
      for process in started
    ]
  finally:
    for process in started:
      process.kill()
      process.wait()
  assert [process.returncode for process in started] == [0, 0], told
  return [json.loads(output.read_text()) for output in outputs]


@pytest.fixture(scope="module")
def apart(store, tmp_path_factory):
  """What each of two processes was fed, by layout."""
  return run_apart(store, tmp_path_factory.mktemp("processes"))


def check_trained(seen, expected):
  np.testing.assert_allclose(seen["losses"], expected["losses"], rtol=1e-5)
  for ours, theirs in zip(seen["params"], expected["params"], strict=True):
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)


# `rehearse_test` trains on another mesh in the short tier.
@pytest.mark.full
def test_both_train_as_one_device_and_as_one_process_of_as_many(
  store, tmp_path
):
  """Each tensor pair is a device of either process."""
  apart = run_apart(store, tmp_path, processes.TRAINED)
  for layout in (processes.ALONE, processes.LAYOUTS[processes.TRAINED]):
    parts = processes.make_parts(store, *layout, jax.devices())
    expected = processes.train(parts)
    for process in apart:
      check_trained(process[processes.TRAINED], expected)
  first, second = (process[processes.TRAINED] for process in apart)
  for key in ("losses", "params"):
    assert first[key] == second[key], "both are one run, to the bit"


@pytest.mark.parametrize(
  ("name", "rows"),
  [
    ("tensor over both", [[0, 8], [0, 8]]),
    ("tensor pairs over both", [[0, 8], [0, 8]]),
    ("data over both", [[0, 4], [4, 8]]),
    # Two rows in turns: what lies between is made, and not fed.
    ("data in turns", [[0, 6], [2, 8]]),
  ],
)
def test_each_process_makes_and_feeds_its_rows_of_the_global_batch(
  store, apart, name, rows
):
  assert [process[name]["rows"] for process in apart] == rows
  one = processes.make_parts(store, *processes.ALONE, jax.devices())
  whole = one.phases[0].pipeline.batch(processes.STEPS)["tokens_BS"]
  fed = np.zeros(len(whole))
  for process in apart:
    seen = process[name]
    np.testing.assert_array_equal(seen["tokens"], whole[slice(*seen["rows"])])
    assert tuple(seen["shape"]) == whole.shape
    for span, tokens in seen["shards"]:
      np.testing.assert_array_equal(tokens, whole[slice(*span)])
      fed[slice(*span)] += 1
  # Four devices, and every row is on as many of them as any other.
  tensor = processes.LAYOUTS[name][0].tensor
  assert (fed == tensor).all()
