# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A process finds its place by flags or the environment, or is refused."""

import json
import os
import pathlib
import subprocess
import sys
from importlib import metadata

import jax
import pytest
from jax._src.clusters import cloud_tpu_cluster

from launch import rehearse
from launch.hosts import start_up
from launch.hosts.rendezvous import Place

ROOT = pathlib.Path(__file__).parents[3]
HERE = ("10.0.0.2:8476", 4, 1)
SLURM = {
  "SLURM_JOB_ID": "7",
  "SLURM_STEP_NODELIST": "node[003-006]",
  "SLURM_NTASKS": "4",
  "SLURM_PROCID": "1",
  "SLURM_LOCALID": "1",
  "SLURM_STEP_NUM_NODES": "4",
}
OPEN_MPI = {
  "OMPI_MCA_orte_hnp_uri": "1531576320.0;tcp://10.96.0.1,10.148.0.1:34911",
  "OMPI_COMM_WORLD_SIZE": "3",
  "OMPI_COMM_WORLD_RANK": "2",
  "OMPI_COMM_WORLD_LOCAL_RANK": "0",
}
# Two slices of two hosts; this is the last.
GKE = {
  "TPU_WORKER_HOSTNAMES": "localhost,second",
  "TPU_WORKER_ID": "1",
  "MEGASCALE_COORDINATOR_ADDRESS": "localhost:8080",
  "MEGASCALE_NUM_SLICES": "2",
  "MEGASCALE_SLICE_ID": "1",
}


@pytest.fixture(autouse=True)
def environment(monkeypatch):
  """An environment in which JAX detects no cluster."""
  for name in (*SLURM, *OPEN_MPI, *GKE, "KUBERNETES_SERVICE_HOST"):
    monkeypatch.delenv(name, raising=False)
  monkeypatch.delenv("JAX_COORDINATOR_ADDRESS", raising=False)


def test_without_flags_and_cluster_a_run_has_one_process():
  for given in ((None, None, None), (None, 1, None), (None, 1, 0)):
    assert start_up.find_place(*given).process_count == 1


def test_flags_alone_are_enough():
  assert start_up.find_place(*HERE) == Place(*HERE)
  place = start_up.find_place("[fd00::2]:8476", 2, 0)
  assert (place.host, place.port) == ("fd00::2", 8476)


def test_an_address_may_come_from_jaxs_variable(monkeypatch):
  monkeypatch.setenv("JAX_COORDINATOR_ADDRESS", HERE[0])
  assert start_up.find_place(None, *HERE[1:]) == Place(*HERE)


@pytest.mark.parametrize(
  ("variables", "expected"),
  [
    (SLURM, ("node003:61447", 4, 1, [1])),
    (OPEN_MPI, ("10.96.0.1:62960", 3, 2, [0])),
    # Not JAX's 8482, which Cloud TPU's firewall rule leaves closed.
    (GKE, ("localhost:8476", 4, 3, None)),
  ],
  ids=["slurm", "open mpi", "gke"],
)
def test_a_cluster_is_found_as_jax_finds_it(monkeypatch, variables, expected):
  monkeypatch.setattr(
    cloud_tpu_cluster, "running_in_cloud_tpu_vm", variables is GKE
  )
  for name, value in variables.items():
    monkeypatch.setenv(name, value)
  place = start_up.find_place(None, None, None)
  assert (place.process_count, place.process_index) == expected[1:3]
  assert place.local_devices == expected[3]
  assert place.host == expected[0].partition(":")[0]
  if variables is GKE:
    assert place.address == expected[0]
    monkeypatch.setenv("JAX_COORDINATOR_PORT", "9000")
    assert start_up.find_place(None, None, None).port == 9000
  # A flag goes before what is found.
  assert start_up.find_place("a:1", None, None).address == "a:1"
  assert start_up.find_place(None, 1, None).process_count == 1


@pytest.mark.parametrize(
  ("given", "message"),
  [
    ((HERE[0], None, None), "without --num_processes and --process_id"),
    ((None, 4, 1), "--num_processes=4 --process_id=1 without --coordinator_a"),
    ((HERE[0], 4, None), "without --process_id,"),
    ((None, None, 0), "--process_id=0 without"),
    ((HERE[0], 4, 4), r"--process_id=4 .*give 0 to 3"),
    ((HERE[0], 4, -1), r"--process_id=-1 .*give 0 to 3"),
    ((HERE[0], 0, 0), "--num_processes=0; give 1"),
    ((None, 1, 1), "--process_id=1 of --num_processes=1"),
    (("10.0.0.2", 4, 1), "is no HOST:PORT"),
    (("10.0.0.2:http", 4, 1), "is no HOST:PORT"),
    ((":8476", 4, 1), "is no HOST:PORT"),
    (("h:65536", 4, 1), "is no HOST:PORT"),
  ],
)
def test_missing_and_wrong_flags_are_refused_in_one_line(given, message):
  with pytest.raises(ValueError, match=message) as caught:
    start_up.find_place(*given)
  assert "\n" not in str(caught.value)


def test_a_cluster_with_a_wrong_variable_is_refused_in_one_line(monkeypatch):
  """JAX's own parser fails on it."""
  monkeypatch.setenv("OMPI_MCA_orte_hnp_uri", "nonsense")
  with pytest.raises(ValueError, match="--num_processes=1 to run alone"):
    start_up.find_place(None, None, None)


def test_code_facts_have_a_hash_of_every_source_file():
  facts = start_up.code_facts()
  assert facts["jax"] == jax.__version__
  for name in (
    "bertjax/train/step.py",
    "launch/pretrain.py",
    "configs/pretrain.py",
  ):
    assert len(facts[f"source {name}"]) == 8
  assert facts == start_up.code_facts()
  assert json.dumps(facts)


def test_a_package_that_one_host_lacks_is_a_difference(monkeypatch):
  version = metadata.version

  def find(name):
    if name == "libtpu":
      raise metadata.PackageNotFoundError(name)
    return version(name)

  monkeypatch.setattr(metadata, "version", find)
  assert start_up.code_facts()["libtpu"] == "absent"
  monkeypatch.setattr(metadata, "version", lambda name: f"{name} 1")
  assert start_up.code_facts()["libtpu"] == "libtpu 1"


def start(*arguments, **variables):
  return subprocess.Popen(
    [sys.executable, "-m", *arguments],
    cwd=ROOT,
    env={**os.environ, **variables},
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
  )


def test_hosts_with_different_flags_or_variables_all_name_them(tmp_path):
  """Real processes, from flags to the exit code."""
  address = f"127.0.0.1:{rehearse.free_port()}"
  processes = [
    start(
      "tests.testing.agreeing",
      f"--output={tmp_path / ('a', 'b')[number]}",
      f"--coordinator_address={address}",
      "--num_processes=2",
      f"--process_id={number}",
      XLA_FLAGS=("", "--xla_backend_optimization_level=0")[number],
    )
    for number in range(2)
  ]
  for number, process in enumerate(processes):
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 1, output
    assert output.startswith(f"error: process {number}: processes differ: ")
    assert "XLA_FLAGS is '' on process 0" in output
    assert f"{tmp_path}/a' on process 0, '{tmp_path}/b' on process 1" in output
    assert output.count("\n") == 1


def test_a_missing_process_asks_for_a_restart(tmp_path):
  process = start(
    "tests.testing.agreeing",
    f"--output={tmp_path}",
    f"--coordinator_address=127.0.0.1:{rehearse.free_port()}",
    *("--num_processes=2", "--process_id=0", "--startup_timeout=1"),
  )
  output, _ = process.communicate(timeout=120)
  assert process.returncode == 42, output
  assert "1 of 2 processes came" in output
  assert output.count("\n") == 1


def test_a_process_that_dies_after_the_rendezvous_asks_for_a_restart(tmp_path):
  address = f"--coordinator_address=127.0.0.1:{rehearse.free_port()}"
  processes = [
    start(
      *("tests.testing.agreeing", f"--output={tmp_path}", "--role=gone"),
      *(address, "--num_processes=2", f"--process_id={number}"),
    )
    for number in range(2)
  ]
  outputs = [process.communicate(timeout=120)[0] for process in processes]
  assert [process.returncode for process in processes] == [42, 9], outputs
  assert outputs[0].startswith("error: process 0: a process that came to 127.")
  assert outputs[0].count("\n") == 1, "no stack of an abort"


def test_a_runtime_that_loses_a_process_asks_for_a_restart(monkeypatch, capsys):
  def fail(_):
    raise jax.errors.JaxRuntimeError("DEADLINE_EXCEEDED: Barrier\n timed out")

  monkeypatch.setattr(start_up, "_initialize", fail)
  monkeypatch.setattr(os, "_exit", sys.exit)
  with pytest.raises(SystemExit) as left:
    start_up._initialize_together(Place(*HERE))
  assert left.value.code == 42
  told = capsys.readouterr().err
  assert "(DEADLINE_EXCEEDED: Barrier timed out)" in told
  assert told.count("\n") == 1


def test_a_single_process_ignores_proxies(tmp_path):
  process = start(
    *("tests.testing.agreeing", f"--output={tmp_path}"),
    http_proxy="http://127.0.0.1:9",
    XLA_FLAGS="--xla_force_host_platform_device_count=3",
  )
  output, _ = process.communicate(timeout=120)
  assert process.returncode == 0, output
  assert output == "done 0\n", "nothing else is said, of gloo or of proxies"
  told = json.loads((tmp_path / "0.json").read_text())
  assert told["devices"] == [3, 3]
  assert told["total"] == 3
  assert told["gather"] == [{"n": 0}]


def test_a_launcher_of_one_process_refuses_several(tmp_path):
  process = start(
    "launch.sweep",
    "--config=configs/sweeps/nsp.py",
    f"--workdir={tmp_path}",
    "--coordinator_address=127.0.0.1:1",
    *("--num_processes=2", "--process_id=1"),
  )
  output, _ = process.communicate(timeout=120)
  assert process.returncode == 1, output
  assert "this launcher runs in one process, not in 2" in output
