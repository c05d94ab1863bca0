# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""All processes meet and agree, or each gets the reason; none waits forever."""

import concurrent.futures
import contextlib
import socket
import time

import pytest

from launch import rehearse
from launch.hosts import rendezvous
from launch.hosts.rendezvous import Place

FACTS = {"config.seed": 0, "jax": "1.2"}


def meet(calls, *, seconds=4.0, address=None):
  """Run processes (index, count, facts); return the error of each, or None."""
  address = address or f"127.0.0.1:{rehearse.free_port()}"

  def one(number, processes, facts):
    try:
      rendezvous.meet(Place(address, processes, number), facts, seconds)
    except (rendezvous.Refused, rendezvous.Absent) as error:
      return error
    return None

  with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
    return list(pool.map(lambda arguments: one(*arguments), calls))


@pytest.mark.parametrize("processes", [2, 3, 20])
def test_processes_with_equal_facts_meet(processes):
  calls = [(number, processes, FACTS) for number in range(processes)]
  assert meet(calls[::-1]) == [None] * processes


def test_a_tuple_equals_a_list_because_facts_are_json():
  assert meet([(n, 2, {"shape": (1, 2)}) for n in range(2)]) == [None, None]


def test_each_process_learns_which_field_differs_where():
  errors = meet(
    [(0, 3, FACTS), (1, 3, FACTS), (2, 3, {**FACTS, "config.seed": 7})]
  )
  for error in errors:
    assert isinstance(error, rendezvous.Refused)
    assert "config.seed is 0 on processes 0-1, 7 on process 2" in str(error)
    assert "jax" not in str(error)


def test_missing_processes_are_counted_and_named():
  errors = meet([(0, 4, FACTS), (2, 4, FACTS)], seconds=1.5)
  for error in errors:
    assert isinstance(error, rendezvous.Absent)
    assert "2 of 4 processes came" in str(error)
    assert "missing: 1, 3" in str(error)


@pytest.mark.parametrize("number", [0, 1])
def test_a_single_process_gives_up_in_time(number):
  began = time.monotonic()
  (error,) = meet([(number, 2, FACTS)], seconds=1.0)
  assert isinstance(error, rendezvous.Absent)
  assert "the same command on" in str(error)
  assert "\n" not in str(error)
  assert time.monotonic() - began < 3


def test_each_process_learns_that_the_counts_differ():
  errors = meet([(0, 2, FACTS), (1, 3, FACTS), (2, 3, FACTS)])
  for error in errors:
    assert isinstance(error, rendezvous.Refused)
    assert "2 on process 0, 3 on process 1, 3 on process 2" in str(error)


def test_two_processes_with_one_index_are_refused(monkeypatch):
  names = iter("abc")
  monkeypatch.setattr(socket, "gethostname", lambda: next(names))
  errors = meet([(0, 3, FACTS), (1, 3, FACTS), (1, 3, FACTS)])
  assert all(
    "two processes have --process_id=1" in str(error) for error in errors
  )


def test_other_connections_are_ignored():
  """A health probe, a scanner, a browser."""
  port = rehearse.free_port()
  address = f"127.0.0.1:{port}"
  with concurrent.futures.ThreadPoolExecutor(1) as pool:
    zero = pool.submit(meet, [(0, 2, FACTS)], address=address)
    for words in (
      b"",
      b"GET / HTTP/1.1\r\n\r\n",
      b'{"process": 1}\n',
      b"[1]\n",
    ):
      for _ in range(50):
        with (
          contextlib.suppress(OSError),
          socket.create_connection(("127.0.0.1", port)) as stranger,
        ):
          stranger.sendall(words)
          break
        time.sleep(0.02)
    assert meet([(1, 2, FACTS)], address=address) == [None]
    assert zero.result() == [None]


def test_a_port_in_use_is_refused():
  with socket.create_server(("127.0.0.1", 0)) as taken:
    address = f"127.0.0.1:{taken.getsockname()[1]}"
    (error,) = meet([(0, 2, FACTS)], address=address)
  assert "already in use); give another port" in str(error)
