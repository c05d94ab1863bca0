# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The image that the pods run."""

from launch.pods import tpu_vm


def write() -> str:
  """The Dockerfile; build it at the repository's root."""
  return tpu_vm.template("Dockerfile")
