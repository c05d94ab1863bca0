# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What the processes of one run must agree on, told through JAX's runtime.

All go through the key-value store of the distributed runtime, on the host: no
device takes part, so that nothing hangs where devices would wait for a process
that is not coming. In a run of one process each is a plain call. Every process
has to make the same calls in the same order.
"""

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import jax
from jax._src import distributed  # the store has no public name

T = TypeVar("T")
Facts = Mapping[str, Any]

# Reading a large checkpoint may take one host minutes longer than another; one
# that is dead is found by its heartbeat long before.
SECONDS = 600.0
_SHOWN = 5
_numbers = itertools.count()


def process() -> int:
  """Return the number of this process; starts no backend."""
  return distributed.global_state.process_id


def processes() -> int:
  """Return how many processes the run has; starts no backend."""
  return distributed.global_state.num_processes


def is_first() -> bool:
  """Return whether this is process 0, which alone writes and talks."""
  return process() == 0


def no_facts(made: Any) -> Facts:
  """Tell nothing that could differ."""
  del made
  return {}


def alike(
  topic: str,
  make: Callable[[], T],
  *,
  facts: Callable[[T], Facts] = no_facts,
  error: type[Exception] = ValueError,
) -> T:
  """Return what `make` returns here, if it went alike on every process.

  Args:
    topic: for messages, as "checkpoint".
    make: called on every process.
    facts: of what was made, JSON-able, which have to be equal.
    error: what `make` may raise.

  Raises:
    error: `make` raised it on one process or more; all raise it then, with
      the words of those that did.
    ValueError: facts differ, naming them and the processes.
    TimeoutError: a process did not answer.
  """
  if processes() == 1:
    return make()
  made, fault = None, ""
  try:
    made = make()
  except (error, OSError) as caught:
    fault = str(caught) or type(caught).__name__
  told = {} if fault else facts(made)  # pyright: ignore[reportArgumentType]
  all_told = gather(topic, {"fault": fault, "facts": told})
  if raised := _faults([each["fault"] for each in all_told]):
    raise error(raised)
  if different := disagreement([each["facts"] for each in all_told]):
    raise ValueError(f"{topic}: {different}")
  return made  # pyright: ignore[reportReturnType]


def decide(topic: str, make: Callable[[], T]) -> T:
  """Return what `make` returns on process 0, where alone it is called.

  The others wait for it, so that what it wrote is there. A value is JSON-able.

  Raises:
    ValueError: `make` raised one, or an `OSError`; all processes do then.
    TimeoutError: process 0 did not answer.
  """
  if processes() == 1:
    return make()
  key = unique(topic)
  if not is_first():
    told = json.loads(get(key))
    if "fault" in told:
      raise ValueError(told["fault"])
    return told["value"]
  try:
    value = make()
  except (ValueError, OSError) as error:
    put(key, json.dumps({"fault": str(error)}))
    raise
  put(key, json.dumps({"value": value}))
  return value


def gather(topic: str, value: Any, *, seconds: float = SECONDS) -> list[Any]:
  """Return the JSON-able values that all processes gave, in their order.

  Raises:
    TimeoutError: a process gave none in time; named on every process.
  """
  if processes() == 1:
    return [value]
  return exchange(unique(topic), value, seconds=seconds)


def exchange(key: str, value: Any, *, seconds: float) -> list[Any]:
  """Do what `gather` does, under a key that all know: also on a thread."""
  put(f"{key}/{process()}", json.dumps(value))
  if is_first():
    # One reads all, and the others read that: 2 N messages instead of N².
    put(f"{key}/all", _collect(key, seconds))
  told = json.loads(get(f"{key}/all", seconds + 10))
  if isinstance(told, str):
    raise TimeoutError(f"{told} to {key!r} in {seconds:.0f} s")
  return told


def disagreement(told: Sequence[Facts]) -> str:
  """Say in one line which facts differ on which processes; "" for none."""
  names = dict.fromkeys(name for facts in told for name in facts)
  lines = []
  for name in names:
    holders: dict[str, list[int]] = {}
    for number, facts in enumerate(told):
      shown = repr(facts[name]) if name in facts else "absent"
      holders.setdefault(shown, []).append(number)
    if len(holders) > 1:
      lines.append(
        f"{name} is "
        + ", ".join(
          f"{shown} on {_processes(numbers)}"
          for shown, numbers in holders.items()
        )
      )
  if not lines:
    return ""
  more = len(lines) - _SHOWN
  return (
    "processes differ: "
    + "; ".join(lines[:_SHOWN])
    + (f"; and {more} more" if more > 0 else "")
    + "; start the same command with the same code on every host"
  )


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
  """Return {"a": {"b": x}} as {"a.b": x}, to name a field by its flag."""
  fields: dict[str, Any] = {}
  for name, value in values.items():
    if isinstance(value, Mapping):
      fields |= flat(value, f"{prefix}{name}.")
    else:
      fields[prefix + name] = value
  return fields


def put(key: str, value: str) -> None:
  """Tell every process something; a key that is taken keeps what it has."""
  try:
    _client().key_value_set(key, value)
  except jax.errors.JaxRuntimeError as error:
    if "ALREADY_EXISTS" not in str(error):
      raise


def get(key: str, seconds: float = SECONDS) -> str:
  """Wait for what a process tells.

  Raises:
    TimeoutError: nothing came.
  """
  try:
    return _client().blocking_key_value_get(key, int(seconds * 1000))
  except jax.errors.JaxRuntimeError as error:
    if "DEADLINE_EXCEEDED" not in str(error):
      raise
    raise TimeoutError(f"nothing came in {seconds:.0f} s: {key}") from error


def peek(key: str) -> str | None:
  """Return what a process told, or None."""
  try:
    return _client().key_value_try_get(key)
  except jax.errors.JaxRuntimeError as error:
    if "NOT_FOUND" not in str(error):
      raise
    return None


def _client() -> Any:
  client = distributed.global_state.client
  assert client is not None, "launch.hosts.start_up starts it"
  return client


def unique(topic: str) -> str:
  """Return a key; the same on all processes, which ask at the same point."""
  return f"bertjax/{next(_numbers)}/{topic}"


def _collect(key: str, seconds: float) -> str:
  told, missing = [], []
  for number in range(processes()):
    try:
      # Once one is missing, the others have had their time as well.
      told.append(get(f"{key}/{number}", 1.0 if missing else seconds))
    except TimeoutError:
      missing.append(number)
  if missing:
    return json.dumps(f"no answer from {_processes(missing)}")
  return f"[{','.join(told)}]"


def _faults(faults: Sequence[str]) -> str:
  distinct = {fault for fault in faults if fault}
  if len(distinct) == 1 and all(faults):
    return distinct.pop()  # a mistake that all made
  return "; ".join(
    f"process {number}: {fault}" for number, fault in enumerate(faults) if fault
  )


def _processes(numbers: Sequence[int]) -> str:
  """As "processes 1-3, 7"."""
  spans: list[list[int]] = []
  for number in numbers:
    if spans and number == spans[-1][1] + 1:
      spans[-1][1] = number
    else:
      spans.append([number, number])
  text = ", ".join(
    str(first) if first == last else f"{first}-{last}" for first, last in spans
  )
  return f"process{'es' * (len(numbers) > 1)} {text}"
