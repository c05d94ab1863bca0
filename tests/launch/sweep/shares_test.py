# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
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
