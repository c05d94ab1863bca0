# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Who is there, before JAX's runtime is started.

That runtime aborts a process whose peers do not come, without saying which.
So the processes first meet at the same address by plain TCP: each tells who it
is and what it is about to run, process 0 waits for all, compares, and tells
everyone the verdict. Only then the address goes to JAX.
"""

import contextlib
import dataclasses
import json
import os
import queue
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bertjax.parallel.multihost import describe_differences

_GREETING = "bertjax roll call"
_RETRY_SECONDS = 0.3
_LINE_SECONDS = 10.0
_LINE_BYTES = 1 << 20
# Process 0 ends its wait this much before the others, so that its verdict,
# which knows more, reaches them in time.
_VERDICT_SECONDS = 5.0


class Refused(ValueError):
  """The processes that came cannot run together."""


class Absent(TimeoutError):
  """Some process did not come."""


@dataclasses.dataclass(frozen=True)
class Place:
  """Where a process stands.

  Attributes:
    address: HOST:PORT of process 0, where all meet.
    processes: how many there are.
    process: the number of this one.
    local_devices: those of the host that are its own; None is all.
  """

  address: str
  processes: int
  process: int
  local_devices: Sequence[int] | None = None

  @property
  def host(self) -> str:
    """Of the coordinator."""
    return self.address.rpartition(":")[0].strip("[]")

  @property
  def port(self) -> int:
    """Of the coordinator."""
    return int(self.address.rpartition(":")[2])

  @property
  def is_loopback(self) -> bool:
    """Whether it is reached from this machine only."""
    return self.host in ("localhost", "::1") or self.host.startswith("127.")


def call(place: Place, facts: Mapping[str, Any], seconds: float) -> None:
  """Return when all processes are there and about to run the same.

  Args:
    place: of this process.
    facts: what has to be the same on all, JSON-able.
    seconds: to wait for the others.

  Raises:
    Refused: facts, or the numbers given to processes, do not fit together.
    Absent: some did not come; says how many did and which are missing.
  """
  mine = {
    "greeting": _GREETING,
    "process": place.process,
    "processes": place.processes,
    "from": f"{socket.gethostname()}, pid {os.getpid()}",
    # As the others' will be: lists where a config has tuples.
    "facts": json.loads(json.dumps(facts)),
  }
  if place.process == 0:
    verdict = _preside(place, mine, seconds)
  else:
    verdict = _report(place, mine, seconds)
  if verdict["text"]:
    raise (Absent if verdict["absent"] else Refused)(verdict["text"])


def _preside(
  place: Place, mine: Mapping[str, Any], seconds: float
) -> dict[str, Any]:
  arrivals: queue.Queue[tuple[Any, socket.socket]] = queue.Queue()
  present: dict[int, Any] = {0: mine}
  sockets: list[socket.socket] = []
  twice = ""
  deadline = time.monotonic() + max(seconds - _VERDICT_SECONDS, seconds / 2)
  with _listening(place, arrivals):
    while not twice and (left := deadline - time.monotonic()) > 0:
      # A process that was told more than the others is waited for as well.
      expected = max(each["processes"] for each in present.values())
      if present.keys() >= set(range(expected)):
        break
      with contextlib.suppress(queue.Empty):
        message, connection = arrivals.get(timeout=min(left, 1.0))
        sockets.append(connection)
        before = present.setdefault(message["process"], message)
        if before["from"] != message["from"]:
          twice = (
            f"two processes are number {message['process']} "
            f"({before['from']}; {message['from']}): give each its own "
            "--process_id"
          )
    verdict = _verdict(place, present, twice, seconds)
    line = (json.dumps(verdict) + "\n").encode()
    for connection in sockets:
      with contextlib.suppress(OSError), connection:
        connection.sendall(line)
  return verdict


def _verdict(
  place: Place, present: Mapping[int, Any], twice: str, seconds: float
) -> dict[str, Any]:
  counts = {each["processes"] for each in present.values()}
  if twice:
    return {"text": twice, "absent": False}
  if len(counts) > 1:
    told = ", ".join(
      f"{each['processes']} on process {number}"
      for number, each in sorted(present.items())
    )
    return {
      "text": f"--num_processes differs: {told}; give the same on every host",
      "absent": False,
    }
  missing = sorted({*range(place.processes)} - present.keys())
  if missing:
    return {"text": _describe_missing(place, missing, seconds), "absent": True}
  facts = [present[number]["facts"] for number in range(place.processes)]
  return {"text": describe_differences(facts), "absent": False}


def _describe_missing(
  place: Place, missing: Sequence[int], seconds: float
) -> str:
  shown = ", ".join(map(str, missing[:8])) + ", …" * (len(missing) > 8)
  return (
    f"{place.processes - len(missing)} of {place.processes} processes came to "
    f"{place.address} within {seconds:.0f} s, missing: {shown}; start the same "
    "command on every host, each with its own --process_id (or "
    "--num_processes=1 on one host alone); --startup_timeout waits longer"
  )


@contextlib.contextmanager
def _listening(
  place: Place, arrivals: "queue.Queue[tuple[Any, socket.socket]]"
) -> Iterator[None]:
  try:
    listener = _listen(place)
  except OSError as error:
    reason = os.strerror(error.errno or 0)
    raise Refused(
      f"process 0 cannot listen at {place.address} ({reason}); give "
      "another port in --coordinator_address, or end what runs there"
    ) from error

  def receive(connection: socket.socket) -> None:
    # Health probes and port scanners come by as well: no message, no arrival.
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
      connection.settimeout(_LINE_SECONDS)
      message = _read_line(connection)
      if message["greeting"] == _GREETING:
        message["process"], message["processes"] = (
          int(message["process"]),
          int(message["processes"]),
        )
        arrivals.put((message, connection))
        return
    connection.close()

  def accept() -> None:
    with contextlib.suppress(OSError):  # closed
      while True:
        connection, _ = listener.accept()
        threading.Thread(
          target=receive, args=(connection,), daemon=True
        ).start()

  thread = threading.Thread(target=accept, daemon=True)
  thread.start()
  try:
    yield
  finally:
    # Closing does not wake a thread that is in accept; this does.
    with contextlib.suppress(OSError):
      listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(_LINE_SECONDS)


def _listen(place: Place) -> socket.socket:
  if place.is_loopback:
    family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
    host = "127.0.0.1" if place.host == "localhost" else place.host
    return socket.create_server((host, place.port), family=family, backlog=1024)
  if socket.has_dualstack_ipv6():
    return socket.create_server(
      ("", place.port),
      family=socket.AF_INET6,
      backlog=1024,
      dualstack_ipv6=True,
    )
  return socket.create_server(("", place.port), backlog=1024)


def _report(
  place: Place, mine: Mapping[str, Any], seconds: float
) -> dict[str, Any]:
  deadline = time.monotonic() + seconds
  found, reason = "there is no process 0", "no answer"
  while (left := deadline - time.monotonic()) > 0:
    try:
      with socket.create_connection(
        (place.host, place.port), timeout=min(left, _LINE_SECONDS)
      ) as connection:
        connection.sendall((json.dumps(mine) + "\n").encode())
        found = "no verdict came from process 0"
        connection.settimeout(max(deadline - time.monotonic(), 0.1))
        return _read_line(connection)
    except OSError as error:
      reason = error.strerror or str(error) or reason
    except ValueError:
      reason = "what answers there is something else"
    time.sleep(_RETRY_SECONDS)
  return {
    "text": f"{found} at {place.address} within {seconds:.0f} s ({reason}); "
    f"start the same command on all {place.processes} hosts, with "
    "--process_id=0 on that one; --startup_timeout waits longer",
    "absent": True,
  }


def _read_line(connection: socket.socket) -> dict[str, Any]:
  with connection.makefile("rb") as file:
    line = file.readline(_LINE_BYTES)
  if not line.endswith(b"\n"):
    raise ValueError("the connection was closed")
  return json.loads(line)
