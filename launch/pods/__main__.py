# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
r"""Write what a pod needs.

  python -m launch.pods --kind=jobset --topology=v5e:16x16 --name=bert \
    --image=REGISTRY/bertjax:TAG --config=configs/pretrain.py:size=base \
    --workdir=gs://BUCKET/bert --output=jobset.yaml -- \
    --config.data.store=gs://BUCKET/store

Kinds: a JobSet for Kubernetes, a script for TPU VMs, a SkyPilot task, and the
Dockerfile of the image. What stands after `--` goes to `launch.pretrain`.
"""

import os
import pathlib
import sys
from collections.abc import Sequence

from absl import flags

from launch import cli
from launch.pods import (
  buckets,
  dockerfile,
  jobset,
  skypilot,
  topologies,
  tpu_vm,
)
from launch.pods.workload import GRACE_SECONDS, Workload, make_command

_RUN = ("topology", "name", "config", "workdir", "env", "spot")
_RESTARTS = ("slices", "max_restarts", "grace_seconds", "service_account")
# The flags that each kind reads; another one given is a misunderstanding.
KINDS = {
  "jobset": (*_RUN, *_RESTARTS, "image", "queue", "namespace"),
  "tpu_vm": (*_RUN, *_RESTARTS, "zone", "project"),
  "skypilot": _RUN,
  "dockerfile": (),
}
_NEEDED = ("topology", "name", "config", "workdir", "image", "zone")


def define_flags() -> None:
  """Define the flags."""
  flags.DEFINE_string("kind", None, f"One of {', '.join(KINDS)}.")
  flags.DEFINE_string("output", None, "File to write; standard output if none.")
  flags.DEFINE_string("topology", None, "Of a slice, as v5e:16x16.")
  flags.DEFINE_integer("slices", 1, "How many slices.")
  flags.DEFINE_string("name", None, "Of the run in the cloud.")
  flags.DEFINE_string("config", None, "As --config of launch.pretrain.")
  flags.DEFINE_string("workdir", None, "Of the run: gs://BUCKET/…")
  flags.DEFINE_multi_string("env", [], "NAME=VALUE on every host; repeatable.")
  flags.DEFINE_bool("spot", False, "On machines that may be taken away.")
  flags.DEFINE_integer("max_restarts", 100, "How often it may start again.")
  flags.DEFINE_integer(
    "grace_seconds", GRACE_SECONDS, "From the request to stop until the end."
  )
  flags.DEFINE_string("service_account", "", "Who may use the bucket.")
  flags.DEFINE_string("image", None, "With bertjax; jobset.")
  flags.DEFINE_string("queue", "", "Kueue's LocalQueue; jobset.")
  flags.DEFINE_string("namespace", "default", "Of Kubernetes; jobset.")
  flags.DEFINE_string("zone", None, "As us-west4-a; tpu_vm.")
  flags.DEFINE_string("project", "", "gcloud's own if none; tpu_vm.")
  flags.mark_flag_as_required("kind")


def text(arguments: Sequence[str]) -> str:
  """What the flags ask for; `arguments` go to the launcher."""
  given = flags.FLAGS
  _check_flags(given.kind, arguments)
  if given.kind == "dockerfile":
    return dockerfile.write()
  workload = _workload(arguments)
  if given.kind == "jobset":
    return jobset.write(
      workload,
      image=given.image,
      queue=given.queue,
      namespace=given.namespace,
    )
  if given.kind == "tpu_vm":
    return tpu_vm.write(workload, zone=given.zone, project=given.project)
  return skypilot.write(workload)


def write_file(path: str | os.PathLike[str], content: str) -> str:
  """Write `path`, whole or not at all; return what was done.

  A script may be run at once.

  Raises:
    ValueError: it is there and says something else.
  """
  target = pathlib.Path(path)
  if target.exists():
    if target.is_file() and target.read_text(encoding="utf-8") == content:
      return f"{target} is there already, and the same"
    raise ValueError(
      f"{target} is there and says something else; remove it or give another"
    )
  target.parent.mkdir(parents=True, exist_ok=True)
  partial = target.with_name(target.name + ".partial")
  partial.write_text(content, encoding="utf-8")
  if content.startswith("#!"):
    partial.chmod(0o755)
  partial.replace(target)
  return f"wrote {target}"


def split(argv: Sequence[str]) -> tuple[list[str], list[str]]:
  """Cut `argv` at `--`: what is ours, and what is the launcher's."""
  if "--" not in argv:
    return list(argv), []
  place = argv.index("--")
  return list(argv[:place]), list(argv[place + 1 :])


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
  """Raise ValueError for a flag that is missing, or that nobody would read."""
  if kind not in KINDS:
    raise ValueError(f"--kind={kind}; give one of {', '.join(KINDS)}")
  every = {name for names in KINDS.values() for name in names}
  for name in sorted(every):
    if flags.FLAGS[name].present and name not in KINDS[kind]:
      raise ValueError(f"--kind={kind} has no use for --{name}; leave it out")
    if name in _NEEDED and name in KINDS[kind] and not flags.FLAGS[name].value:
      raise ValueError(f"--kind={kind} needs --{name}=…")
  if arguments and not KINDS[kind]:
    raise ValueError(f"--kind={kind} has no use for {arguments[0]!r} after --")


def main(arguments: Sequence[str]) -> None:
  """Write what the flags say."""
  content = text(arguments)
  if flags.FLAGS.output is None:
    print(content, end="")
  else:
    print(write_file(flags.FLAGS.output, content))


if __name__ == "__main__":
  define_flags()
  sys.argv[:], passed_on = split(sys.argv)
  cli.run(lambda _: main(passed_on))
