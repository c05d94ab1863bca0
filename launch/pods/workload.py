# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What runs, whatever starts it: one command, the same on every host."""

import dataclasses
import re
from collections.abc import Sequence

from launch import cli
from launch.pods import buckets
from launch.pods.topologies import Slice

# Preempted, stuck, or lost a peer: start again. Everything else that is not 0
# is a mistake, which the next try would meet too.
RESTART_CODES = (cli.RESTART, *range(127, 256))

# Long enough to finish a step and to save it; Kubernetes gives 30.
GRACE_SECONDS = 300

# JAX finds these on a pod. One value for all hosts would be wrong on most.
_OF_ONE_HOST = ("coordinator_address", "num_processes", "process_id")
_SECRET = re.compile(r"TOKEN|SECRET|PASSW|CREDENTIAL|API_?KEY|PRIVATE", re.I)
_LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_LABEL_LENGTH = 63


@dataclasses.dataclass(frozen=True, kw_only=True)
class Workload:
  """A pre-training run on one or more equal slices.

  Attributes:
    name: of the run in the cloud.
    slice: what each slice is.
    slices: how many.
    command: argument list, the same on every host.
    bucket: mounted on every host, at `buckets.mount_point`.
    environment: NAME=VALUE each.
    max_restarts: how often it is started again.
    grace_seconds: from the request to stop until it is killed.
    spot: whether the machines may be taken away.
    service_account: whose rights to the bucket it has; "" the default's.
  """

  name: str
  slice: Slice
  slices: int
  command: tuple[str, ...]
  bucket: str
  environment: tuple[str, ...] = ()
  max_restarts: int = 100
  grace_seconds: int = GRACE_SECONDS
  spot: bool = False
  service_account: str = ""

  def __post_init__(self) -> None:
    check_label("name", self.name)
    _at_least("slices", self.slices, 1)
    _at_least("max_restarts", self.max_restarts, 0)
    _at_least("grace_seconds", self.grace_seconds, 1)
    if self.slices > 1 and self.slice.hosts == 1:
      raise ValueError(
        f"--slices={self.slices} of {self.slice}: several slices are joined "
        "over hosts of larger ones; take one slice of more chips, or a "
        "topology of several hosts"
      )
    names = [_environment_name(pair) for pair in self.environment]
    for name in names:
      if names.count(name) > 1:
        raise ValueError(f"--env={name}=… is given twice; give it once")

  @property
  def variables(self) -> dict[str, str]:
    """The environment of every host: what it was given over what holds."""
    given = dict(pair.split("=", 1) for pair in self.environment)
    # Without a TPU it fails, rather than train on the CPU.
    return {"JAX_PLATFORMS": "tpu,cpu", "PYTHONUNBUFFERED": "1"} | given


def make_command(
  config: str, workdir: str, arguments: Sequence[str]
) -> tuple[str, ...]:
  """The launcher's command line.

  Args:
    config: as --config of the launcher, a path below the repository's root.
    workdir: in a bucket, since hosts share no disk and a restart may be on
      others; the launcher gets the folder that it is mounted as.
    arguments: what stood after `--`.

  Raises:
    ValueError: a value that cannot work on every host.
  """
  place = buckets.parse(workdir)
  if config.startswith("/") or not config:
    raise ValueError(
      f"--config={config!r} is read on the pod: give a path below the "
      "repository's root, as configs/pretrain.py:size=base"
    )
  for argument in arguments:
    _check_argument(argument)
  return (
    *("python", "-m", "launch.pretrain"),
    f"--config={config}",
    f"--workdir={place.folder}",
    *arguments,
  )


def check_label(flag: str, value: str, *, suffix: str = "") -> None:
  """Raise ValueError unless `value` with `suffix` can name things.

  The rule is RFC 1035's label, which Services have and other objects include
  (they also allow a digit in front).
  """
  if not _LABEL.fullmatch(value):
    raise ValueError(
      f"--{flag}={value!r}: a name has lower-case letters, digits and -, "
      "begins with a letter and does not end with -"
    )
  if len(value + suffix) > _LABEL_LENGTH:
    room = _LABEL_LENGTH - len(suffix)
    raise ValueError(
      f"--{flag}={value!r} has {len(value)} characters, of which "
      f"{room} fit: its longest use is {value + suffix!r}"
    )


def _at_least(flag: str, value: int, least: int) -> None:
  if value < least:
    raise ValueError(f"--{flag}={value}; give {least} or more")


def _environment_name(pair: str) -> str:
  name, equals, _ = pair.partition("=")
  if not equals or not re.fullmatch(r"[A-Za-z_]\w*", name):
    raise ValueError(f"--env={pair!r}; write it as NAME=VALUE")
  if _SECRET.search(name):
    raise ValueError(
      f"--env={name}=… looks like a secret, which does not belong into a file; "
      "give the service account the right instead"
    )
  if "\n" in pair:
    raise ValueError(f"--env={name}=… has a line break, which no host reads")
  return name


def _check_argument(argument: str) -> None:
  if not argument.startswith("-") or "\n" in argument:
    raise ValueError(
      f"{argument!r} after -- is no flag; a flag is given as --name=value"
    )
  name, _, value = argument.lstrip("-").partition("=")
  if name in _OF_ONE_HOST:
    raise ValueError(
      f"{argument!r} after --: JAX finds it on the pod, and the command is "
      "the same on every host; leave it out"
    )
  if name in ("config", "workdir"):
    raise ValueError(f"{argument!r} after --: give --{name} before it")
  if name == "bundle" and "://" in value:
    raise ValueError(
      f"{argument!r} after --: give a folder of the mounted bucket, as "
      f"{buckets.ROOT}/BUCKET/bundle"
    )
