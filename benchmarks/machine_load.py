# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The share of this machine that others take while a benchmark runs."""

import os
import pathlib
import resource
from typing import NamedTuple

# What others may take of all processors before a row is marked.
LIMIT = 0.10
_STAT = pathlib.Path("/proc/stat")
# Fields of the line "cpu" (proc_pid_stat(5), proc_stat(5)): user, nice, system,
# idle, iowait, irq, softirq, steal. What follows is part of user and nice.
_FIELDS = 8
_IDLE = (3, 4)


class Reading(NamedTuple):
  """Processor seconds up to a moment.

  Attributes:
    all: of all processors, idle ones too.
    busy: those that something ran on, other virtual machines too.
    own: those of this process, and of its children that have ended.
  """

  all: float
  busy: float
  own: float


def read(stat: pathlib.Path = _STAT) -> Reading | None:
  """Return what the system says now; None where it does not say."""
  if not stat.is_file():
    return None
  name, *words = stat.read_text(encoding="ascii").split("\n", 1)[0].split()
  assert name == "cpu", name
  ticks = [int(word) for word in words[:_FIELDS]]
  second = os.sysconf("SC_CLK_TCK")
  used = [
    resource.getrusage(who)
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
  ]
  return Reading(
    sum(ticks) / second,
    (sum(ticks) - sum(ticks[each] for each in _IDLE)) / second,
    sum(each.ru_utime + each.ru_stime for each in used),
  )


def share_of_others(
  before: Reading | None, after: Reading | None
) -> float | None:
  """Return the share of all processors that others took between readings."""
  if before is None or after is None or after.all <= before.all:
    return None
  spent = [end - begin for begin, end in zip(before, after, strict=True)]
  every, busy, own = spent
  return min(max(busy - own, 0.0) / every, 1.0)


def is_busy(share: float | None) -> bool:
  """Return whether others took more than a figure bears."""
  return share is not None and share > LIMIT
