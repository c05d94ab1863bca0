# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The time of a compiled program's operations, by what they are part of."""

import collections
import glob
import gzip
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

_NAMED = re.compile(r'%?([\w.\-]+) = .*?metadata=\{op_name="([^"]*)"')
# What a part of an operation's name says of it; the first that is found counts.
# A projection is a layer of learned weights, such as that of the queries.
_PARTS = (
  ("attention/attention._attend", "attention within rows"),
  ("attention/", "projections of attention"),
  ("_feed_forward", "projections of the feed-forward"),
  ("mlm_head", "masked-LM head"),
  ("dynamic_update_slice", "states kept by the loop"),
  ("dynamic_slice", "states kept by the loop"),
  ("layer_norm", "layer norms"),
  ("BertForPreTraining", "the rest of the model"),
  ("Encoder", "the rest of the model"),
)


def part_of(kind: str, name: str) -> str:
  """Return the row of the table for an operation.

  Args:
    kind: name of the operation in the compiled program, without its number.
    name: its path in the traced model; "" if it has no path.
  """
  found = (words for part, words in _PARTS if part in name)
  part = next(found, "optimizer and the rest")
  if name.endswith("dot_general"):
    return f"products: {part}"
  if "copy" in kind or "transpose" in kind:
    return f"copies: {part}"
  return f"others: {part}"


def names_of(program: str) -> dict[str, str]:
  """Return the path of each operation of a compiled program, by its name."""
  return {found[1]: found[2] for found in _NAMED.finditer(program)}


def add_up(
  events: Iterable[Mapping[str, Any]], names: Mapping[str, str]
) -> collections.Counter[str]:
  """Return the microseconds of each row of the table.

  Args:
    events: of a trace, as the trace viewer has them.
    names: path of each operation.
  """
  total: collections.Counter[str] = collections.Counter()
  for event in events:
    operation = event.get("args", {}).get("hlo_op")
    # A loop's time is that of the operations in it.
    if event.get("ph") != "X" or not operation or "while" in operation:
      continue
    kind = re.sub(r"[.\d]+$", "", operation)
    total[part_of(kind, names.get(operation, ""))] += event["dur"]
  return total


def read_trace(folder: str) -> list[Mapping[str, Any]]:
  """Return the events of the one trace in a folder."""
  (path,) = glob.glob(f"{folder}/**/*.trace.json.gz", recursive=True)
  with gzip.open(path) as stream:
    events: list[Mapping[str, Any]] = json.load(stream)["traceEvents"]
  return events
