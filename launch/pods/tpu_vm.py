# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A script for TPU VMs: a queued resource, and one command on every worker.

Two bash files under `templates` do the work and have no settings. This module
writes the settings, quoted, in front of each.
"""

import pathlib
import shlex
from collections.abc import Sequence

from bertjax.plan.hardware import slices
from launch.pods import buckets
from launch.pods.topologies import Slice
from launch.pods.workload import Workload, check_label

_TEMPLATES = pathlib.Path(__file__).parent / "templates"
_END = "END_OF_WORKER"
_HEAD = """\
# Quoted text is meant literally.
# shellcheck disable=SC2016
set -euo pipefail

"""


def template(name: str) -> str:
  """Return the text of a file under `templates`."""
  return (_TEMPLATES / name).read_text(encoding="utf-8")


def install_script() -> str:
  """Return a bash function, `install ENVIRONMENT SOURCES`."""
  return template("install.sh")


def accelerator_type(tpu_slice: Slice) -> str:
  """Return gcloud's name of the slice, for example v5litepod-256.

  Raises:
    ValueError: that name means another shape with the same number of chips.
  """
  if tpu_slice.accelerator_type is None:
    usual = next(
      shape
      for shape in slices.shapes(tpu_slice.kind)
      if tpu_slice.chips == tpu_slice._replace(shape=shape).chips
    )
    other = tpu_slice._replace(shape=usual)
    raise ValueError(
      f"--topology={tpu_slice}: gcloud names slices by their size alone, and "
      f"one of {tpu_slice.chips} chips is {other}; give that, or --kind=jobset"
    )
  return tpu_slice.accelerator_type


def write(workload: Workload, *, zone: str, project: str = "") -> str:
  """Return the script.

  Args:
    workload: the run.
    zone: zone of the TPU VMs.
    project: cloud project; "" is gcloud's own setting.

  Raises:
    ValueError: gcloud would refuse the slice or a name.
  """
  if not zone:
    raise ValueError("--zone is missing; give one, for example us-west4-a")
  check_label("zone", zone)
  last = f"-{workload.slices - 1}" if workload.slices > 1 else ""
  check_label("name", workload.name, suffix=last)
  place = [f"--zone={zone}", *([f"--project={project}"] if project else [])]
  return "".join(
    (
      "#!/usr/bin/env bash\n",
      f"# {workload.slices} × {workload.slice} as TPU VMs. ",
      "Made by `python -m launch.pods --kind=tpu_vm`.\n",
      _HEAD,
      f"name={shlex.quote(workload.name)}\n",
      _array("place", place),
      _array("creation", _creation(workload)),
      _array("nodes", _nodes(workload)),
      "\n# This script is copied to every worker and runs there.\n",
      f"worker_script() {{\n  cat <<'{_END}'\n",
      worker_script(workload),
      f"{_END}\n}}\n\n",
      template("tpu_vm.sh"),
    )
  )


def worker_script(workload: Workload) -> str:
  """Return the script of a worker: install, start, run, stop, status."""
  python, *rest = workload.command
  assert python == "python"
  environment = [
    f"{name}={value}" for name, value in workload.variables.items()
  ]
  return "".join(
    (
      f"#!/usr/bin/env bash\n{_HEAD}",
      _array("arguments", rest),
      _array("environment", environment),
      _array("gcsfuse_flags", buckets.GCSFUSE_FLAGS),
      f"bucket={shlex.quote(workload.bucket)}\n",
      f"bucket_folder={buckets.mount_point(workload.bucket)}\n",
      f"max_restarts={workload.max_restarts}\n",
      f"grace_seconds={workload.grace_seconds}\n\n",
      install_script(),
      "\n",
      template("mount.sh"),
      "\n",
      template("worker.sh"),
    )
  )


def _nodes(workload: Workload) -> list[str]:
  if workload.slices == 1:
    return [workload.name]
  return [f"{workload.name}-{number}" for number in range(workload.slices)]


def _creation(workload: Workload) -> list[str]:
  """Return the flags that create the queued resource."""
  if workload.slices == 1:
    names = [f"--node-id={workload.name}"]
  else:
    names = [
      f"--node-count={workload.slices}",
      f"--node-prefix={workload.name}",
    ]
  account = workload.service_account
  return [
    *names,
    f"--accelerator-type={accelerator_type(workload.slice)}",
    f"--runtime-version={workload.slice.chip.runtime_version}",
    *(["--spot"] if workload.spot else []),
    *([f"--service-account={account}"] if account else []),
  ]


def _array(name: str, items: Sequence[str]) -> str:
  return f"{name}=(\n{''.join(f'  {_quote(item)}' for item in items)})\n"


def _quote(text: str) -> str:
  """Quote `text` always; shlex.quote leaves plain words unquoted."""
  return "'" + text.replace("'", "'\"'\"'") + "'\n"
