# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A SkyPilot task: `sky jobs launch` finds TPU VMs and replaces them."""

import shlex
from typing import Any

from launch.pods import buckets, tpu_vm, yaml_text
from launch.pods.workload import RESTART_CODES, Workload

# Kinds that SkyPilot 0.14 starts as TPU VMs; tpu7x is not among them.
KINDS = ("v4", "v5e", "v5p", "v6e")


def make_task(workload: Workload) -> dict[str, Any]:
  """Return the task.

  Raises:
    ValueError: SkyPilot cannot start these slices.
  """
  if workload.slice.kind not in KINDS:
    raise ValueError(
      f"--topology={workload.slice}: SkyPilot starts {', '.join(KINDS)}; use "
      "--kind=jobset or --kind=tpu_vm"
    )
  if workload.slices > 1:
    raise ValueError(
      f"--slices={workload.slices}: SkyPilot starts a single slice; use "
      "--kind=jobset or --kind=tpu_vm"
    )
  accelerator = f"tpu-{tpu_vm.accelerator_type(workload.slice)}"
  return {
    "name": workload.name,
    # SkyPilot copies the current folder to every host of the slice.
    "workdir": ".",
    "file_mounts": {
      buckets.mount_point(workload.bucket): {
        "source": f"gs://{workload.bucket}",
        "mode": "MOUNT",
      }
    },
    # A slice is one node; SkyPilot runs `setup` and `run` on all its hosts.
    "num_nodes": 1,
    "resources": {
      "infra": "gcp",
      "accelerators": {accelerator: 1},
      "accelerator_args": {
        "runtime_version": workload.slice.chip.runtime_version,
        "tpu_vm": True,
      },
      "use_spot": workload.spot,
      "job_recovery": {
        "strategy": "EAGER_NEXT_REGION",
        # No other failure is tried again.
        "max_restarts_on_errors": 0,
        "recover_on_exit_codes": yaml_text.Inline(RESTART_CODES),
      },
    },
    "envs": workload.variables,
    "setup": tpu_vm.install_script() + 'install "$HOME/bertjax-env" "$PWD"\n',
    "run": _run(workload),
  }


def write(workload: Workload) -> str:
  """Return `make_task` as YAML."""
  return (
    f"# {workload.slice}, {workload.slice.hosts} hosts. Made by "
    "`python -m launch.pods --kind=skypilot`.\n"
    + yaml_text.write(make_task(workload))
  )


def _run(workload: Workload) -> str:
  _, *rest = workload.command
  return f'"$HOME/bertjax-env/bin/python" {shlex.join(rest)}\n'
