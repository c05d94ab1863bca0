# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Starting JAX's distributed runtime, alone or as one of several processes.

The same command runs on every host; where it stands comes from three flags, or
from what JAX finds in the environment (Cloud TPU, GKE, Slurm, Open MPI). A run
of one process starts the runtime too, on a port of its own loopback: 15 ms,
and then there is one path. Call `start` before anything asks for a device.
"""

import contextlib
import functools
import hashlib
import os
import pathlib
import platform
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from typing import Any, NoReturn

import jax
from absl import flags

import bertjax
from bertjax.parallel import multihost
from launch import cli
from launch.hosts import failure, rendezvous
from launch.hosts.rendezvous import Place

# Seconds. A peer that dies is found by its heartbeat, and one that fails holds
# the others for no longer than the shutdown; JAX's own are 100 and 300.
HEARTBEAT = 30
SHUTDOWN = 20
INITIALIZATION = 30
_ABORT = 10  # after that, by the runtime itself
STARTUP = 50
ROOT = pathlib.Path(__file__).parents[2]
_ROOMS = ("bertjax", "data_pipelines", "configs", "launch")
_PACKAGES = (
  *("jax", "jaxlib", "libtpu"),
  *("flax", "optax", "orbax-checkpoint", "numpy"),
)
# What else decides what is compiled; unequal programs wait for each other.
_ENVIRONMENT = (
  "JAX_DEFAULT_MATMUL_PRECISION",
  "JAX_ENABLE_X64",
  "JAX_PLATFORMS",
  "LIBTPU_INIT_ARGS",
  "XLA_FLAGS",
)
_ALONE = Place("127.0.0.1:0", processes=1, process=0)


def define_flags() -> None:
  """Define the flags that say where a process stands."""
  flags.DEFINE_string(
    "coordinator_address", None, "HOST:PORT where process 0 can be reached."
  )
  flags.DEFINE_integer("num_processes", None, "Of the run, over all hosts.")
  flags.DEFINE_integer("process_id", None, "Number of this one, from 0.")
  flags.DEFINE_float(
    "startup_timeout", STARTUP, "Seconds to wait for the other processes."
  )


def start(facts: Mapping[str, Any], *, several: bool = True) -> None:
  """Start the runtime where the flags or the environment say; once a process.

  Args:
    facts: what has to be the same on every host, JSON-able, by name.
    several: whether this launcher can run in more processes than one.

  Raises:
    ValueError: flags that do not fit together, or processes that do not.
    TimeoutError: not all processes came.
    SystemExit: one has come and gone; the others end with code 42.
  """
  values = flags.FLAGS
  place = find_place(
    values.coordinator_address,
    values.num_processes,
    values.process_id,
    values.startup_timeout,
  )
  if place.processes == 1:
    _start_alone()
    return
  if not several:
    raise ValueError(
      f"this launcher runs in one process, not in {place.processes}; start it "
      "on one host, with --num_processes=1"
    )
  cli.speak_as(place.process)
  rendezvous.call(place, {**code_facts(), **facts}, values.startup_timeout)
  _initialize_together(place)
  cli.leave_by(functools.partial(failure.leave, restart=cli.RESTART))
  failure.watch()
  # Here, where all are: on some hosts a device is asked for later than on
  # others, or not at all where a file is missing.
  jax.devices()


def find_place(
  address: str | None,
  processes: int | None,
  process: int | None,
  seconds: float = STARTUP,
) -> Place:
  """Return where this process stands, by its flags or by the environment.

  Raises:
    ValueError: half of what is needed, or numbers that cannot be.
  """
  if processes == 1:
    if process:
      raise ValueError(
        f"--process_id={process} of --num_processes=1; give 0, or leave it out"
      )
    return _ALONE
  address = address or os.environ.get("JAX_COORDINATOR_ADDRESS")
  known = multihost.Cluster(address, processes, process)
  if None in known[:3]:
    known = _look_around(known, seconds)
    if known[:3] == (None, None, None) or known.process_count == 1:
      return _ALONE
  _check_complete(known[:3])
  return _check_place(*known)


def code_facts() -> dict[str, Any]:
  """Return versions of packages, and a hash of each source file, by name."""
  packages = {name: _version(name) for name in _PACKAGES}
  sources = {
    f"source {path.relative_to(ROOT)}": hashlib.sha256(
      path.read_bytes()
    ).hexdigest()[:8]
    for room in _ROOMS
    for path in sorted((ROOT / room).rglob("*.py"))
  }
  return {
    "bertjax": bertjax.__version__,
    "python": platform.python_version(),
    **packages,
    **{name: os.environ.get(name, "") for name in _ENVIRONMENT},
    **sources,
  }


def _version(package: str) -> str:
  try:
    return metadata.version(package)
  except metadata.PackageNotFoundError:
    return "absent"


def _look_around(known: multihost.Cluster, seconds: float) -> multihost.Cluster:
  try:
    return multihost.detect_cluster(known, seconds)
  except Exception as error:
    raise ValueError(
      "the environment looks like a cluster, but JAX cannot tell from it where "
      f"the other processes are ({error}); give --coordinator_address, "
      "--num_processes and --process_id, or --num_processes=1 to run alone"
    ) from error


def _check_complete(known: Sequence[Any]) -> None:
  names = ("coordinator_address", "num_processes", "process_id")
  given = {
    f"--{name}": value
    for name, value in zip(names, known, strict=True)
    if value is not None
  }
  missing = [f"--{name}" for name in names if f"--{name}" not in given]
  if missing:
    raise ValueError(
      f"{' '.join(f'{name}={value}' for name, value in given.items())} without "
      f"{' and '.join(missing)}, and the environment tells none; give all "
      "three, the same but for --process_id on every host"
    )


def _check_place(
  address: Any, processes: Any, process: Any, local_devices: Any
) -> Place:
  if processes < 1:
    raise ValueError(f"--num_processes={processes}; give 1 or more")
  if not 0 <= process < processes:
    raise ValueError(
      f"--process_id={process} of --num_processes={processes}; give 0 to "
      f"{processes - 1}"
    )
  host, _, port = address.rpartition(":")
  if not host or not port.isdecimal() or not 0 < int(port) < 65536:
    raise ValueError(
      f"--coordinator_address={address} is no HOST:PORT; give the host of "
      "process 0 and a port that is free there, as 10.0.0.2:8476"
    )
  return Place(address, processes, process, local_devices)


def _start_alone() -> None:
  # With a runtime, JAX has gloo carry what goes between the devices of one CPU
  # process as well, over sockets: several times slower than its own way.
  jax.config.update("jax_cpu_collectives_implementation", None)
  with _free_port() as port:
    _initialize(Place(f"127.0.0.1:{port}", processes=1, process=0))


def _initialize_together(place: Place) -> None:
  """Do it with peers that may have died since they came.

  The runtime says so by an error, or aborts this process: a thread ends it
  before. Not by an exception, for a runtime half started ends in an abort too.
  """

  def give_up(reason: str) -> NoReturn:
    with contextlib.suppress(SystemExit):
      cli.fail(
        f"a process that came to {place.address} was gone before JAX's runtime "
        f"started ({reason}); see what it said, and start the same command on "
        "every host again"
      )
    os._exit(cli.RESTART)

  nothing = f"nothing in {INITIALIZATION} s"
  timer = threading.Timer(INITIALIZATION, give_up, [nothing])
  timer.daemon = True
  timer.start()
  try:
    _initialize(place)
  except jax.errors.JaxRuntimeError as error:
    give_up(str(error))
  finally:
    timer.cancel()


def _initialize(place: Place) -> None:
  _avoid_proxy(place.host)
  jax.config.update("jax_check_proxy_envs", False)
  # It would take SIGTERM for itself: `launch.hosts.preemption` is for that.
  jax.config.update("jax_enable_preemption_service", False)
  jax.distributed.initialize(
    place.address,
    place.processes,
    place.process,
    local_device_ids=place.local_devices,
    cluster_detection_method="deactivate",
    initialization_timeout=INITIALIZATION + _ABORT,
    heartbeat_timeout_seconds=HEARTBEAT,
    shutdown_timeout_seconds=SHUTDOWN,
    # Nobody else is to reach a port of this machine only.
    coordinator_bind_address=place.address if place.is_loopback else None,
  )


@contextlib.contextmanager
def _free_port() -> Iterator[int]:
  """A port of the loopback that nobody else is given meanwhile."""
  with socket.socket() as held:
    # The runtime's server shares its port, and so may be held beside it.
    if hasattr(socket, "SO_REUSEPORT"):
      held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    held.bind(("127.0.0.1", 0))
    yield held.getsockname()[1]


def _avoid_proxy(host: str) -> None:
  """Have gRPC reach the coordinator itself where a proxy is set for HTTP.

  It would ask the proxy even for a port of the same machine, and then abort.
  """
  name = "no_grpc_proxy"  # goes before no_proxy
  known = os.environ.get(name) or os.environ.get("no_proxy", "")
  if host not in known.split(","):
    os.environ[name] = f"{known},{host}".strip(",")
