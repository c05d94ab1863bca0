# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A script for TPU VMs: a queued resource, and one command on every worker.

Two bash files under `templates` do the work and hold no setting. This module
puts the settings, quoted, in front of each.
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
# What is quoted is meant as it stands.
# shellcheck disable=SC2016
set -euo pipefail

"""


def template(name: str) -> str:
  """The text of a file under `templates`."""
  return (_TEMPLATES / name).read_text(encoding="utf-8")


def install_script() -> str:
  """A bash function `install ENVIRONMENT SOURCES`."""
  return template("install.sh")


def accelerator_type(piece: Slice) -> str:
  """The name that gcloud has for the slice, as v5litepod-256.

  Raises:
    ValueError: that name means another shape of as many chips.
  """
  if piece.accelerator_type is None:
    usual = next(
      shape
      for shape in slices.shapes(piece.kind)
      if piece.chips == piece._replace(shape=shape).chips
    )
    other = piece._replace(shape=usual)
    raise ValueError(
      f"--topology={piece}: gcloud names slices by their size alone, and one "
      f"of {piece.chips} chips is {other}; take that, or --kind=jobset"
    )
  return piece.accelerator_type


def write(workload: Workload, *, zone: str, project: str = "") -> str:
  """The script.

  Args:
    workload: what runs.
    zone: where the slices are asked for.
    project: of the cloud; "" is gcloud's own setting.

  Raises:
    ValueError: a slice or a name that gcloud would refuse.
  """
  if not zone:
    raise ValueError("--zone is missing; give one as us-west4-a")
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
      "\n# What lies on every worker and runs there.\n",
      f"worker_script() {{\n  cat <<'{_END}'\n",
      worker_script(workload),
      f"{_END}\n}}\n\n",
      template("tpu_vm.sh"),
    )
  )


def worker_script(workload: Workload) -> str:
  """What runs on each worker: install, start, run, stop, status."""
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
  """What the queued resource is made with."""
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
  """As shlex.quote, also where bash alone would not ask for it."""
  return "'" + text.replace("'", "'\"'\"'") + "'\n"
