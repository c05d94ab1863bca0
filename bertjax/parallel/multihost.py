# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Messages between the processes of one run, and all imports of `jax._src`.

Everything goes through the key-value store of JAX's distributed runtime, from
host to host. No device takes part, because a device collective hangs when one
process never joins it. In a run of one process each function is a plain call.
Every process has to make the same calls in the same order.
"""

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import jax

# Neither has a public name; tests/bertjax/parallel/multihost_test.py lists the
# functions that this module needs.
from jax._src import clusters, distributed

T = TypeVar("T")
Facts = Mapping[str, Any]

# Reading a large checkpoint may take one host minutes longer than another. A
# dead host is found by its heartbeat long before.
TIMEOUT_SECONDS = 600.0
_MAX_SHOWN = 5
# What a failure is on all processes if it is on one; the first that is found.
_KINDS = {"timeout": TimeoutError, "system": OSError}
_call_numbers = itertools.count()
# Keys of calls that process 0 has finished and others may still read.
_unread: list[str] = []


class Cluster(NamedTuple):
  """How this process joins a run; an unknown field is None."""

  address: str | None
  process_count: int | None
  process_index: int | None
  local_devices: Sequence[int] | None = None


def process_index() -> int:
  """Return the index of this process; unlike JAX's, starts no backend."""
  return distributed.global_state.process_id


def process_count() -> int:
  """Return the number of processes; unlike JAX's, starts no backend."""
  return distributed.global_state.num_processes


def is_first() -> bool:
  """Return whether this is process 0, the only one that writes and prints."""
  return process_index() == 0


def detect_cluster(known: Cluster, seconds: float) -> Cluster:
  """Fill in the fields that JAX finds in the environment of a cluster.

  JAX knows Cloud TPU, GKE, Slurm and Open MPI; under the last two it gives each
  process one GPU.

  Args:
    known: the fields that are not None stay.
    seconds: how long to look for the address of process 0.

  Raises:
    Exception: the environment looks like a cluster and lacks a variable; of
      the type that JAX's detection raises.
  """
  return Cluster(
    *clusters.ClusterEnv.auto_detect_unset_distributed_params(
      known.address,
      known.process_count,
      known.process_index,
      known.local_devices,
      None,
      int(seconds),
    )
  )


def run_on_all(
  topic: str,
  make: Callable[[], T],
  *,
  facts: Callable[[T], Facts] = lambda _: {},
  error: type[Exception] = ValueError,
) -> T:
  """Call `make` on every process; fail on all of them if it fails on one.

  Args:
    topic: a name for messages, such as "checkpoint".
    make: called on every process.
    facts: result of `make` → JSON-able facts that must be equal on all.
    error: the exception that `make` may raise, besides `OSError`.

  Returns:
    The result of `make` on this process.

  Raises:
    error: `make` failed on at least one process; the message has the messages
      of all processes that failed.
    OSError: it failed by an `OSError` on one of them, and `error` is no
      `ValueError`: the cause is then the system and not the data.
    ValueError: facts differ; the message names them and the processes.
    TimeoutError: a process did not answer, or `make` raised this.
  """
  if process_count() == 1:
    return make()
  result, failure, kind = None, "", ""
  try:
    result = make()
  except (error, OSError) as caught:
    failure = str(caught) or type(caught).__name__
    kind = _kind_of(caught, error)
  own_facts = {} if failure else facts(result)  # pyright: ignore[reportArgumentType]
  answers = all_gather(
    topic, {"failure": failure, "kind": kind, "facts": own_facts}
  )
  if message := _join_failures([each["failure"] for each in answers]):
    kinds = {each["kind"] for each in answers}
    raise next((_KINDS[k] for k in _KINDS if k in kinds), error)(message)
  if message := describe_differences([each["facts"] for each in answers]):
    raise ValueError(f"{topic}: {message}")
  return result  # pyright: ignore[reportReturnType]


def broadcast_from_first(topic: str, make: Callable[[], T]) -> T:
  """Call `make` on process 0 alone and return its JSON-able value everywhere.

  The other processes wait until it has returned, so that the files it wrote
  exist.

  Raises:
    ValueError: `make` raised a `ValueError` or an `OSError`, which process 0
      raises as it is.
    TimeoutError: process 0 did not answer, or `make` raised this.
  """
  if process_count() == 1:
    return make()
  key = unique_key(topic)
  if not is_first():
    answer = json.loads(kv_get(key))
    if "failure" in answer:
      raise _KINDS.get(answer["kind"], ValueError)(answer["failure"])
    return answer["value"]
  try:
    value = make()
  except (ValueError, OSError) as error:
    kind = _kind_of(error, ValueError)
    kv_set(key, json.dumps({"failure": str(error), "kind": kind}))
    raise
  kv_set(key, json.dumps({"value": value}))
  _unread.append(key)
  return value


def all_gather(
  topic: str, value: Any, *, seconds: float = TIMEOUT_SECONDS
) -> list[Any]:
  """Return the JSON-able values of all processes, in the order of processes.

  Raises:
    TimeoutError: on every process, naming those that gave no value in time.
  """
  if process_count() == 1:
    return [value]
  key = unique_key(topic)
  values = all_gather_at(key, value, seconds=seconds)
  if is_first():
    # Every process has sent a value, so that each has finished the calls
    # before: a run of weeks must not fill the store.
    for each in _unread:
      _client().key_value_delete(each)
    _unread[:] = [key]
  return values


def all_gather_at(key: str, value: Any, *, seconds: float) -> list[Any]:
  """Gather under a key that all processes know; also from another thread."""
  kv_set(f"{key}/{process_index()}", json.dumps(value))
  if is_first():
    # Process 0 reads all values and the others read its list: 2 N messages
    # instead of N².
    kv_set(f"{key}/all", _collect(key, seconds))
  answer = json.loads(kv_get(f"{key}/all", seconds + 10))
  if isinstance(answer, str):
    raise TimeoutError(f"{answer} to {key!r} in {seconds:.0f} s")
  return answer


def describe_differences(facts_of_all: Sequence[Facts]) -> str:
  """Return one line of the facts that differ between processes, or ""."""
  names = dict.fromkeys(name for facts in facts_of_all for name in facts)
  lines = []
  for name in names:
    holders: dict[str, list[int]] = {}
    for index, facts in enumerate(facts_of_all):
      value = repr(facts[name]) if name in facts else "absent"
      holders.setdefault(value, []).append(index)
    if len(holders) > 1:
      values = (
        f"{value} on {_name_processes(indices)}"
        for value, indices in holders.items()
      )
      lines.append(f"{name} is {', '.join(values)}")
  if not lines:
    return ""
  more = len(lines) - _MAX_SHOWN
  return (
    "processes differ: "
    + "; ".join(lines[:_MAX_SHOWN])
    + (f"; and {more} more" if more > 0 else "")
    + "; start the same command with the same code on every host"
  )


def kv_set(key: str, value: str) -> None:
  """Store a value for every process; the first value of a key stays."""
  try:
    _client().key_value_set(key, value)
  except jax.errors.JaxRuntimeError as error:
    if "ALREADY_EXISTS" not in str(error):
      raise


def kv_get(key: str, seconds: float = TIMEOUT_SECONDS) -> str:
  """Wait until a process stores a value under `key`, and return it.

  Raises:
    TimeoutError: no process did.
  """
  try:
    return _client().blocking_key_value_get(key, int(seconds * 1000))
  except jax.errors.JaxRuntimeError as error:
    if "DEADLINE_EXCEEDED" not in str(error):
      raise
    raise TimeoutError(f"nothing came in {seconds:.0f} s: {key}") from error


def kv_try_get(key: str) -> str | None:
  """Return the value that is stored under `key` now, or None."""
  try:
    return _client().key_value_try_get(key)
  except jax.errors.JaxRuntimeError as error:
    if "NOT_FOUND" not in str(error):
      raise
    return None


def unique_key(topic: str) -> str:
  """Return a new key, equal on all processes if they make the same calls."""
  return f"bertjax/{next(_call_numbers)}/{topic}"


def _client() -> Any:
  client = distributed.global_state.client
  assert client is not None, "launch.hosts.start_up starts it"
  return client


def _collect(key: str, seconds: float) -> str:
  """Return all values as a JSON list, or the names of silent processes."""
  values, missing = [], []
  for index in range(process_count()):
    try:
      # Once one is missing, the others have had their time as well.
      values.append(kv_get(f"{key}/{index}", 1.0 if missing else seconds))
    except TimeoutError:
      missing.append(index)
  if missing:
    return json.dumps(f"no answer from {_name_processes(missing)}")
  return f"[{','.join(values)}]"


def _kind_of(caught: Exception, error: type[Exception]) -> str:
  """Return the name in `_KINDS`, or "" where all processes raise `error`."""
  if isinstance(caught, TimeoutError):
    return "timeout"
  is_system = isinstance(caught, OSError) and not isinstance(caught, error)
  return "system" if is_system and not issubclass(error, ValueError) else ""


def _join_failures(failures: Sequence[str]) -> str:
  distinct = {failure for failure in failures if failure}
  if len(distinct) == 1 and all(failures):
    return distinct.pop()  # the same mistake on every process
  return "; ".join(
    f"process {index}: {failure}"
    for index, failure in enumerate(failures)
    if failure
  )


def _name_processes(indices: Sequence[int]) -> str:
  """Return sorted indices as "processes 1-3, 7"."""
  spans: list[list[int]] = []
  for index in indices:
    if spans and index == spans[-1][1] + 1:
      spans[-1][1] = index
    else:
      spans.append([index, index])
  text = ", ".join(
    str(first) if first == last else f"{first}-{last}" for first, last in spans
  )
  return f"process{'es' * (len(indices) > 1)} {text}"
