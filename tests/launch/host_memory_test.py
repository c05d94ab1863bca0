# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Large buffers keep their pages from one step to the next."""

import platform
import subprocess
import sys

import pytest

from launch import host_memory

_TOUCH = """
import resource, sys
import numpy as np
from launch import host_memory
if sys.argv[1] == "retain":
  assert host_memory.retain(1 << 28)
def touch():
  before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
  np.ones(1 << 26, np.uint8)
  return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
touch()
print(touch())
"""


def count_faults(mode):
  done = subprocess.run(
    [sys.executable, "-c", _TOUCH, mode],
    capture_output=True,
    text=True,
    check=True,
  )
  return int(done.stdout)


@pytest.mark.skipif(
  platform.libc_ver()[0] != "glibc", reason="only glibc retains memory"
)
def test_a_buffer_that_was_freed_is_used_again_without_a_page_fault():
  assert count_faults("retain") < 10 < count_faults("default")


def test_other_systems_are_left_alone(monkeypatch):
  monkeypatch.setattr(platform, "system", lambda: "Darwin")
  assert not host_memory.retain()
