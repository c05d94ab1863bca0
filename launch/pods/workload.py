# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The run on a pod: one command, equal on every host, whatever starts it."""

import dataclasses
import re
from collections.abc import Sequence

from launch import cli
from launch.hosts import coordinator_port
from launch.pods import buckets
from launch.pods.topologies import Slice

# Codes after which the run starts again: preempted, stuck, killed, or another
# process was lost. All others but 0 are mistakes, which a restart would repeat.
RESTART_CODES = (cli.RESTART, *range(127, 256))

# Seconds to finish a step and to save it; Kubernetes gives 30 by default.
GRACE_SECONDS = 300

# JAX finds these on a pod; each host needs its own.
_HOST_FLAGS = ("coordinator_address", "num_processes", "process_id")
_SECRET = re.compile(r"TOKEN|SECRET|PASSW|CREDENTIAL|API_?KEY|PRIVATE", re.I)
_LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_LABEL_LENGTH = 63


@dataclasses.dataclass(frozen=True, kw_only=True)
class Workload:
  """A pre-training run on one or more equal slices.

  Attributes:
    name: name of the run in the cloud.
    slice: each of the slices.
    slices: number of slices.
    command: argument list, equal on every host.
    bucket: the bucket mounted on every host, at `buckets.mount_point`.
    environment: variables, as NAME=VALUE.
    max_restarts: how often the run may be restarted.
    grace_seconds: time between the request to stop and the kill.
    spot: whether the machines are spot machines, which may be preempted.
    service_account: account that may use the bucket; "" is the default one.
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
        f"--slices={self.slices} of {self.slice}: several slices need "
        "more than one host each; give one slice of more chips, or a topology "
        "of several hosts"
      )
    names = [_environment_name(pair) for pair in self.environment]
    for name in names:
      if names.count(name) > 1:
        raise ValueError(f"--env={name}=… is given twice; give it once")

  @property
  def variables(self) -> dict[str, str]:
    """Variables of every host; those of `environment` replace the defaults."""
    given = dict(pair.split("=", 1) for pair in self.environment)
    defaults = {
      # Without a TPU, JAX fails instead of training on the CPU.
      "JAX_PLATFORMS": "tpu,cpu",
      coordinator_port.VARIABLE: str(coordinator_port.PORT),
      "PYTHONUNBUFFERED": "1",
    }
    return defaults | given


def make_command(
  config: str, workdir: str, arguments: Sequence[str]
) -> tuple[str, ...]:
  """Return the launcher's command line.

  Args:
    config: --config of the launcher: the name of a config that bertjax ships,
      or a path below the repository's root.
    workdir: a folder in a bucket, because hosts share no disk and a restart may
      get other hosts; the launcher gets the path where it is mounted.
    arguments: further arguments of the launcher.

  Raises:
    ValueError: a value cannot be right on every host.
  """
  place = buckets.parse(workdir)
  if config.startswith("/") or not config:
    raise ValueError(
      f"--config={config!r} is read on the pod: give a config that bertjax "
      "ships, for example pretrain:size=base, or a path below the repository's "
      "root"
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
  """Raise ValueError unless `value` with `suffix` is a valid name.

  The rule is that of labels in RFC 1035, which Kubernetes has for Services;
  other objects allow a digit in front as well.
  """
  if not _LABEL.fullmatch(value):
    raise ValueError(
      f"--{flag}={value!r}: a name has lower-case letters, digits and -, "
      "begins with a letter and does not end with -"
    )
  if len(value + suffix) > _LABEL_LENGTH:
    room = _LABEL_LENGTH - len(suffix)
    raise ValueError(
      f"--{flag}={value!r} has {len(value)} characters; give at most {room}, "
      f"because {value + suffix!r} has to fit {_LABEL_LENGTH}"
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
      f"--env={name}=… looks like a secret, which must not be in a file; give "
      "the service account the right instead"
    )
  if "\n" in pair:
    raise ValueError(f"--env={name}=… has a line break; remove it")
  return name


def _check_argument(argument: str) -> None:
  if not argument.startswith("-") or "\n" in argument:
    raise ValueError(
      f"{argument!r} after -- is no flag; a flag is given as --name=value"
    )
  name, _, value = argument.lstrip("-").partition("=")
  if name in _HOST_FLAGS:
    raise ValueError(
      f"{argument!r} after --: JAX finds it on the pod, and every host gets "
      "the same command; leave it out"
    )
  if name in ("config", "workdir"):
    raise ValueError(f"{argument!r} after --: give --{name} before it")
  if name == "bundle" and "://" in value:
    raise ValueError(
      f"{argument!r} after --: give a folder of the mounted bucket, as "
      f"{buckets.ROOT}/BUCKET/bundle"
    )
