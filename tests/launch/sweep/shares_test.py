# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import os
import subprocess
import sys

import jax
import pytest

from launch.sweep import shares


def test_devices_are_shared_equally():
  one, two = shares.split_devices(2, [], [0, 1, 2, 3, 4])
  assert (one.cores, two.cores) == ((0, 1), (2, 3))
  assert one.variables == {}
  assert one.text == "CPU cores 0, 1"
  one, two = shares.split_devices(2, ["4", "5", "6"], range(8))
  # Equally: runs on other numbers of devices add up in another order.
  assert one.variables == {"CUDA_VISIBLE_DEVICES": "4"}
  assert two.variables == {"CUDA_VISIBLE_DEVICES": "5"}
  assert two.cores == (4, 5, 6, 7)
  assert two.text == "GPU 5"


def test_devices_that_no_trial_has_are_told():
  one, two = shares.split_devices(2, ["4", "5", "6"], range(8))
  assert one.idle == two.idle
  assert one.idle == (
    "GPU 6 stays idle: 3 GPUs are not shared equally by 2 trials at once"
  )
  (one, *_) = shares.split_devices(3, [], range(8))
  assert one.idle.startswith("CPU cores 6, 7 stay idle: 8 CPU cores are not")
  assert not any(each.idle for each in shares.split_devices(2, ["0", "1"], []))


# Plans a study of two trials at once where there are four GPUs.
PLANS = """
import jax
from launch.sweep import __main__ as sweep, shares

def plan(*_):
  print(jax.default_backend(), jax.device_count())
  raise SystemExit

shares.find_gpus = lambda *_: ["0", "1", "2", "3"]
sweep.check_workdir = lambda *_: None
sweep.make_plan = plan
sweep.run(None, "work", trials_at_once=2)
"""


def test_a_study_is_checked_for_the_devices_that_a_trial_has(tmp_path):
  """This process leaves the GPUs to the trials, and has as many devices."""
  done = subprocess.run(
    [sys.executable, "-c", PLANS],
    cwd=tmp_path,
    env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.stdout.split() == ["cpu", "2"], done.stderr


def test_a_process_that_has_devices_cannot_leave_them():
  jax.devices()
  shares.leave_devices([shares.Share("CPU core 0", (0,), {})])
  with pytest.raises(
    ValueError, match="trials_at_once=2: this process has asked JAX for its"
  ):
    shares.leave_devices([shares.Share("GPUs 0, 1", (), {}, gpus=2)] * 2)


def test_more_trials_than_devices_are_refused():
  with pytest.raises(
    ValueError, match=r"=3 is more than the 2 CPU cores .* most 2"
  ):
    shares.split_devices(3, [], [0, 1])
  with pytest.raises(ValueError, match="more than the 1 GPUs of this"):
    shares.split_devices(2, ["0"], range(8))


def test_gpus_are_those_that_are_visible(tmp_path):
  for name in ("nvidia2", "nvidia10", "nvidiactl", "dxg"):
    (tmp_path / name).touch()

  def find(**variables):
    return shares.find_gpus(variables, str(tmp_path))

  assert find() == ["0", "1"]
  assert find(CUDA_VISIBLE_DEVICES="1,GPU-5f") == ["1", "GPU-5f"]
  assert find(CUDA_VISIBLE_DEVICES="-1") == []
  assert find(CUDA_VISIBLE_DEVICES="1", JAX_PLATFORMS="cpu") == []


def test_devices_that_cannot_be_split_are_refused(tmp_path):
  (tmp_path / "vfio").mkdir()
  assert shares.find_gpus({}, str(tmp_path)) == []
  (tmp_path / "vfio" / "0").touch()
  with pytest.raises(ValueError, match="give --backend=commands or"):
    shares.find_gpus({}, str(tmp_path))
  assert shares.find_gpus({"JAX_PLATFORMS": "cpu"}, str(tmp_path)) == []


def test_one_after_another_have_all_devices():
  assert shares.share_devices(1) == []
