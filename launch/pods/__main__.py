# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
r"""Write the file that starts a run on a TPU pod.

  python -m launch.pods --kind=jobset --topology=v5e:16x16 --name=bert \
    --image=REGISTRY/bertjax:TAG --config=pretrain:size=base \
    --workdir=gs://BUCKET/bert --output=jobset.yaml -- \
    --config.data.store=gs://BUCKET/store

Kinds: a JobSet for Kubernetes, a script for TPU VMs, a SkyPilot task, and the
Dockerfile of the image. Arguments after `--` go to `launch.pretrain`.
"""

import os
import pathlib
from collections.abc import Sequence

from absl import flags

from bertjax import files
from launch import cli
from launch.commands import output_paths
from launch.pods import buckets, jobset, skypilot, topologies, tpu_vm
from launch.pods.workload import GRACE_SECONDS, Workload, make_command

_RUN = ("topology", "name", "config", "workdir", "env", "spot")
_RESTARTS = ("slices", "max_restarts", "grace_seconds", "service_account")
# The flags that each kind reads; any other is refused.
KINDS = {
  "jobset": (*_RUN, *_RESTARTS, "image", "queue", "namespace"),
  "tpu_vm": (*_RUN, *_RESTARTS, "zone", "project"),
  "skypilot": _RUN,
  "dockerfile": (),
}
_NEEDED = ("topology", "name", "config", "workdir", "image", "zone")


def define_flags() -> None:
  """Define the flags."""
  flags.DEFINE_string("kind", None, f"What to write: {', '.join(KINDS)}.")
  flags.DEFINE_string(
    "output", None, "File to write; if not given, standard output."
  )
  flags.DEFINE_string(
    "topology", None, "Topology of each slice, for example v5e:16x16."
  )
  flags.DEFINE_integer("slices", 1, "Number of slices.")
  flags.DEFINE_string("name", None, "Name of the run in the cloud.")
  flags.DEFINE_string(
    "config", None, "Config of the run, as --config of launch.pretrain."
  )
  flags.DEFINE_string(
    "workdir", None, "Folder of the run in a bucket, as gs://BUCKET/bert."
  )
  flags.DEFINE_multi_string(
    "env", [], "Variable to set on every host, as NAME=VALUE; repeatable."
  )
  flags.DEFINE_bool("spot", False, "Use spot machines, which may be preempted.")
  flags.DEFINE_integer(
    "max_restarts", 100, "How often the run may be restarted (jobset, tpu_vm)."
  )
  flags.DEFINE_integer(
    "grace_seconds",
    GRACE_SECONDS,
    "Seconds between the request to stop and the kill (jobset, tpu_vm).",
  )
  flags.DEFINE_string(
    "service_account",
    "",
    "Service account that may use the bucket (jobset: of Kubernetes; tpu_vm).",
  )
  flags.DEFINE_string("image", None, "Image that has bertjax (jobset).")
  flags.DEFINE_string("queue", "", "LocalQueue of Kueue (jobset).")
  flags.DEFINE_string("namespace", "default", "Kubernetes namespace (jobset).")
  flags.DEFINE_string(
    "zone", None, "Zone of the TPU VMs, for example us-west4-a (tpu_vm)."
  )
  flags.DEFINE_string(
    "project", "", "Cloud project; if not given, that of gcloud (tpu_vm)."
  )
  flags.mark_flag_as_required("kind")


def text(arguments: Sequence[str]) -> str:
  """Return the text of the file; `arguments` go to the launcher."""
  given = flags.FLAGS
  _check_flags(given.kind, arguments)
  if given.kind == "dockerfile":
    return tpu_vm.template("Dockerfile")
  workload = _workload(arguments)
  if given.kind == "jobset":
    return jobset.write(
      workload, image=given.image, queue=given.queue, namespace=given.namespace
    )
  if given.kind == "tpu_vm":
    return tpu_vm.write(workload, zone=given.zone, project=given.project)
  return skypilot.write(workload)


def write_file(path: str | os.PathLike[str], content: str) -> str:
  """Write `path` atomically, executable if it is a script; return a message.

  Raises:
    ValueError: the file exists with other content.
  """
  output_paths.check_file("output", path)
  target = pathlib.Path(path)
  if target.exists():
    if target.is_file() and target.read_text(encoding="utf-8") == content:
      return f"{target} exists already, with the same content"
    raise ValueError(
      f"{target} exists with other content; remove it, or give another --output"
    )
  target.parent.mkdir(parents=True, exist_ok=True)
  files.write_text(target, content)
  if content.startswith("#!"):
    target.chmod(0o755)
  return f"wrote {target}"


def _workload(arguments: Sequence[str]) -> Workload:
  given = flags.FLAGS
  return Workload(
    name=given.name,
    slice=topologies.find(given.topology),
    slices=given.slices,
    command=make_command(given.config, given.workdir, arguments),
    bucket=buckets.parse(given.workdir).bucket,
    environment=tuple(given.env),
    max_restarts=given.max_restarts,
    grace_seconds=given.grace_seconds,
    spot=given.spot,
    service_account=given.service_account,
  )


def _check_flags(kind: str, arguments: Sequence[str]) -> None:
  """Raise ValueError for a flag that is missing or that has no effect."""
  if kind not in KINDS:
    raise ValueError(f"--kind={kind}; give one of {', '.join(KINDS)}")
  every = {name for names in KINDS.values() for name in names}
  for name in sorted(every):
    if flags.FLAGS[name].present and name not in KINDS[kind]:
      raise ValueError(f"--kind={kind} does not use --{name}; leave it out")
    if name in _NEEDED and name in KINDS[kind] and not flags.FLAGS[name].value:
      raise ValueError(f"--kind={kind} needs --{name}=…")
  if arguments and not KINDS[kind]:
    raise ValueError(
      f"--kind={kind} does not use {arguments[0]!r} after --; leave it out"
    )


def main(arguments: Sequence[str]) -> None:
  """Write the file that the flags ask for."""
  content = text(arguments[1:])
  if flags.FLAGS.output is None:
    print(content, end="")
  else:
    print(write_file(flags.FLAGS.output, content))


if __name__ == "__main__":
  define_flags()
  cli.run(main, takes="rest")
