# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Check that all processes are there, before JAX's runtime is started.

That runtime aborts a process whose peers do not come, without saying which. So
the processes first meet by plain TCP at the address that the runtime will use:
each sends its index and facts of its run; process 0 waits for all, compares the
facts, and sends everyone the verdict. Only then does JAX get the address.
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

# Must never change: a process with other code is to be named, not ignored.
_GREETING = "bertjax roll call"
_RETRY_SECONDS = 0.3
_LINE_SECONDS = 10.0
_LINE_BYTES = 1 << 20
# Process 0 stops waiting this much before the others, so that they still get
# its verdict, which knows who is missing.
_VERDICT_SECONDS = 5.0


class Refused(ValueError):
  """The processes that came cannot run together."""


class Absent(TimeoutError):
  """A process did not come in time."""


@dataclasses.dataclass(frozen=True)
class Place:
  """The place of this process in the run.

  Attributes:
    address: HOST:PORT of process 0, where all meet.
    process_count: processes of the run.
    process_index: index of this process.
    local_devices: indices of the host's devices that this process uses; None
      for all of them.
  """

  address: str
  process_count: int
  process_index: int
  local_devices: Sequence[int] | None = None

  @property
  def host(self) -> str:
    """Host of process 0."""
    return self.address.rpartition(":")[0].strip("[]")

  @property
  def port(self) -> int:
    """Port of process 0."""
    return int(self.address.rpartition(":")[2])

  @property
  def is_loopback(self) -> bool:
    """Whether only this machine can reach the address."""
    return self.host in ("localhost", "::1") or self.host.startswith("127.")


def meet(place: Place, facts: Mapping[str, Any], seconds: float) -> None:
  """Return when all processes are there with equal facts.

  Args:
    place: the place of this process.
    facts: JSON-able facts that must be equal on all processes.
    seconds: how long to wait for the others.

  Raises:
    Refused: the processes differ in facts, count, or have the same index.
    Absent: not all came; the message names the missing ones.
  """
  mine = {
    "greeting": _GREETING,
    "process": place.process_index,
    "processes": place.process_count,
    "from": f"{socket.gethostname()}, pid {os.getpid()}",
    # Through JSON, as the facts of the others: tuples become lists.
    "facts": json.loads(json.dumps(facts)),
  }
  if place.process_index == 0:
    verdict = _host(place, mine, seconds)
  else:
    verdict = _join(place, mine, seconds)
  if verdict["text"]:
    raise (Absent if verdict["absent"] else Refused)(verdict["text"])


def _host(
  place: Place, mine: Mapping[str, Any], seconds: float
) -> dict[str, Any]:
  arrivals: queue.Queue[tuple[Any, socket.socket]] = queue.Queue()
  present: dict[int, Any] = {0: mine}
  sockets: list[socket.socket] = []
  duplicate = ""
  deadline = time.monotonic() + max(seconds - _VERDICT_SECONDS, seconds / 2)
  with _listening(place, arrivals):
    while not duplicate and (left := deadline - time.monotonic()) > 0:
      # Where a process was given a larger count, wait for that many: the
      # verdict then names every process that disagrees.
      expected = max(each["processes"] for each in present.values())
      if present.keys() >= set(range(expected)):
        break
      with contextlib.suppress(queue.Empty):
        message, connection = arrivals.get(timeout=min(left, 1.0))
        sockets.append(connection)
        before = present.setdefault(message["process"], message)
        if before["from"] != message["from"]:
          duplicate = (
            f"two processes have --process_id={message['process']} "
            f"({before['from']}; {message['from']}); give each its own"
          )
    verdict = _verdict(place, present, duplicate, seconds)
    line = (json.dumps(verdict) + "\n").encode()
    for connection in sockets:
      with contextlib.suppress(OSError), connection:
        connection.sendall(line)
  return verdict


def _verdict(
  place: Place, present: Mapping[int, Any], duplicate: str, seconds: float
) -> dict[str, Any]:
  counts = {each["processes"] for each in present.values()}
  if duplicate:
    return {"text": duplicate, "absent": False}
  if len(counts) > 1:
    counted = ", ".join(
      f"{each['processes']} on process {index}"
      for index, each in sorted(present.items())
    )
    return {
      "text": f"--num_processes differs: {counted}; give every host the same",
      "absent": False,
    }
  missing = sorted({*range(place.process_count)} - present.keys())
  if missing:
    return {"text": _describe_missing(place, missing, seconds), "absent": True}
  facts = [present[number]["facts"] for number in range(place.process_count)]
  return {"text": describe_differences(facts), "absent": False}


def _describe_missing(
  place: Place, missing: Sequence[int], seconds: float
) -> str:
  shown = ", ".join(map(str, missing[:8])) + ", …" * (len(missing) > 8)
  return (
    f"{place.process_count - len(missing)} of {place.process_count} processes "
    f"came to {place.address} within {seconds:.0f} s, missing: {shown}; "
    "start the same command on every host, each with its own --process_id (or "
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
    # Health probes and port scanners connect too: they send no such message.
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
    with contextlib.suppress(OSError):  # the listener was closed
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
    # Closing does not wake a thread that waits in accept; this does.
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


def _join(
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
      reason = "another program answers there"
    time.sleep(_RETRY_SECONDS)
  return {
    "text": f"{found} at {place.address} within {seconds:.0f} s ({reason}); "
    f"start the same command on all {place.process_count} hosts, with "
    "--process_id=0 on that one; --startup_timeout waits longer",
    "absent": True,
  }


def _read_line(connection: socket.socket) -> dict[str, Any]:
  with connection.makefile("rb") as file:
    line = file.readline(_LINE_BYTES)
  if not line.endswith(b"\n"):
    raise ValueError("the connection was closed")
  return json.loads(line)
