# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Start JAX's distributed runtime, alone or as one of several processes.

The same command runs on every host. Which process it is comes from three flags,
or from what JAX finds in the environment (Cloud TPU, GKE, Slurm, Open MPI). A
run of one process starts the runtime as well, on a port of its own loopback,
which takes 15 ms and leaves one path through the code. Call `start` before
anything asks JAX for a device. `launch/hosts/README.md` has the whole protocol.
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
from launch.hosts import compile_cache, coordinator_port, failure, rendezvous
from launch.hosts.rendezvous import Place

# The runtime finds a dead process by its heartbeat, and a process that fails
# holds the others up for at most the shutdown; JAX's defaults are 100 and 300.
HEARTBEAT_SECONDS = 30
SHUTDOWN_SECONDS = 20
INITIALIZATION_SECONDS = 30
_ABORT_SECONDS = 10  # until the runtime aborts, after INITIALIZATION_SECONDS
STARTUP_SECONDS = 50
ROOT = pathlib.Path(__file__).parents[2]
_ROOMS = ("bertjax", "data_pipelines", "configs", "launch")
_PACKAGES = (
  *("jax", "jaxlib", "libtpu"),
  *("flax", "optax", "orbax-checkpoint", "numpy"),
)
# Variables that change what is compiled; processes with different programs
# would wait for each other.
_ENVIRONMENT = (
  "JAX_DEFAULT_MATMUL_PRECISION",
  "JAX_ENABLE_X64",
  "JAX_PLATFORMS",
  "LIBTPU_INIT_ARGS",
  "XLA_FLAGS",
)
_ALONE = Place("127.0.0.1:0", process_count=1, process_index=0)


def define_flags() -> None:
  """Define the flags that give this process its place in the run."""
  flags.DEFINE_string(
    "coordinator_address", None, "HOST:PORT at which process 0 can be reached."
  )
  flags.DEFINE_integer(
    "num_processes", None, "Number of processes of the run, over all hosts."
  )
  flags.DEFINE_integer(
    "process_id", None, "Index of this process, counted from 0."
  )
  flags.DEFINE_float(
    "startup_timeout",
    STARTUP_SECONDS,
    "Seconds to wait at start for the other processes.",
  )


def start(facts: Mapping[str, Any], *, several: bool = True) -> None:
  """Start the runtime as the flags or the environment say; once a process.

  Args:
    facts: name → JSON-able value that must be equal on every host.
    several: whether this launcher can run in more than one process.

  Raises:
    ValueError: flags do not fit together, or processes differ.
    TimeoutError: not all processes came.
    SystemExit: a process came and died before the runtime started; the others
      exit with code 42.
  """
  values = flags.FLAGS
  place = find_place(
    values.coordinator_address,
    values.num_processes,
    values.process_id,
    values.startup_timeout,
  )
  if place.process_count == 1:
    _start_alone()
    compile_cache.keep()
    return
  if not several:
    raise ValueError(
      f"this launcher runs in one process, not in {place.process_count}; start "
      "it on one host, with --num_processes=1"
    )
  cli.set_log_prefix(place.process_index)
  rendezvous.meet(place, {**code_facts(), **facts}, values.startup_timeout)
  _initialize_together(place)
  cli.set_exit_hook(functools.partial(failure.exit_all, restart=cli.RESTART))
  failure.watch()
  # Start the backend now that all processes are here: later one host may ask
  # for a device long after another, or never if it misses a file.
  jax.devices()
  # Process 0 alone writes what it compiles. Compilers of GPUs share the work of
  # choosing kernels, and would wait for a process that has nothing to compile.
  if jax.default_backend() != "gpu":
    compile_cache.keep(tells="never" if place.process_index else "always")


def find_place(
  address: str | None,
  processes: int | None,
  process: int | None,
  seconds: float = STARTUP_SECONDS,
) -> Place:
  """Return the place of this process, from its flags or the environment.

  Raises:
    ValueError: something is missing or out of range.
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
    found = multihost.detect_cluster(known, seconds)
  except Exception as error:
    raise ValueError(
      "the environment looks like a cluster, but JAX cannot tell from it where "
      f"the other processes are ({error}); give --coordinator_address, "
      "--num_processes and --process_id, or --num_processes=1 to run alone"
    ) from error
  if known.address:
    return found
  address = coordinator_port.correct(found.address, os.environ)
  return found._replace(address=address)


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
      f"{' and '.join(missing)}, which the environment does not have; give all "
      "three on every host, equal but for --process_id"
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
      "process 0 and a port that is free there, for example 10.0.0.2:8476"
    )
  return Place(address, processes, process, local_devices)


def _start_alone() -> None:
  # With the runtime, JAX would use gloo between the CPU devices of one process
  # too: over sockets, which is several times slower than in memory.
  jax.config.update("jax_cpu_collectives_implementation", None)
  with _free_port() as port:
    _initialize(Place(f"127.0.0.1:{port}", process_count=1, process_index=0))


def _initialize_together(place: Place) -> None:
  """Start the runtime with processes that may have died since they met.

  The runtime then raises an error or aborts this process, so a timer exits
  before that. It exits rather than raises, because a runtime that is half
  started aborts at exit as well.
  """

  def give_up(reason: str) -> NoReturn:
    with contextlib.suppress(SystemExit):
      cli.fail(
        f"a process that came to {place.address} was gone before JAX's runtime "
        f"started ({reason}); read its log, and start the same command again "
        "on every host"
      )
    os._exit(cli.RESTART)

  nothing = f"no answer in {INITIALIZATION_SECONDS} s"
  timer = threading.Timer(INITIALIZATION_SECONDS, give_up, [nothing])
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
  # JAX's service would handle SIGTERM, as `launch.hosts.preemption` does.
  jax.config.update("jax_enable_preemption_service", False)
  jax.distributed.initialize(
    place.address,
    place.process_count,
    place.process_index,
    local_device_ids=place.local_devices,
    cluster_detection_method="deactivate",
    initialization_timeout=INITIALIZATION_SECONDS + _ABORT_SECONDS,
    heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
    shutdown_timeout_seconds=SHUTDOWN_SECONDS,
    # A port that is for this machine only must not be open to others.
    coordinator_bind_address=place.address if place.is_loopback else None,
  )


@contextlib.contextmanager
def _free_port() -> Iterator[int]:
  """Yield a free port of the loopback, and keep others from getting it."""
  with socket.socket() as held:
    # The runtime's server opens its port with SO_REUSEPORT too.
    if hasattr(socket, "SO_REUSEPORT"):
      held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    held.bind(("127.0.0.1", 0))
    yield held.getsockname()[1]


def _avoid_proxy(host: str) -> None:
  """Keep gRPC from reaching the coordinator through an HTTP proxy.

  It would ask the proxy even for a port of the same machine, and then abort.
  """
  name = "no_grpc_proxy"  # gRPC prefers it to no_proxy
  known = os.environ.get(name) or os.environ.get("no_proxy", "")
  if host not in known.split(","):
    os.environ[name] = f"{known},{host}".strip(",")
