# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The rows of `benchmarks.suite`: what is run, for how long, and the goals."""

import re
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from benchmarks import compiler

Tier = Literal["full", "quick", "tpu"]
# Seconds that a tier takes at most; TPU compiles take an hour. What is left by
# then is not run. The limits of the rows of `full` are more than that together,
# since on two quiet cores a row takes about two thirds of its limit. The first
# rows are those that matter most.
BUDGETS: Mapping[Tier, int] = {
  "full": 30 * 60,
  "quick": 3 * 60,
  "tpu": 2 * 3600,
}
_GOAL = re.compile(r"(ratio )?([≤≥]) ([\d.]+)( .*)?")


class Goal(NamedTuple):
  """What a figure should reach.

  Attributes:
    of_ratio: whether the ratio to the peer is meant, and not our value.
    sign: "≤" or "≥".
    bound: the value.
  """

  of_ratio: bool
  sign: str
  bound: float

  def is_met(self, value: float) -> bool:
    """Return whether a value or ratio reaches it."""
    return value <= self.bound if self.sign == "≤" else value >= self.bound


def parse_goal(text: str) -> Goal:
  """Return the goal of "ratio ≤ 0.90" or of "≤ 6 s".

  Raises:
    ValueError: the text is no goal.
  """
  found = _GOAL.fullmatch(text)
  if not found:
    raise ValueError(
      f"{text!r} is no goal; write it as 'ratio ≤ 0.90', '≤ 6 s'"
    )
  return Goal(bool(found[1]), found[2], float(found[3]))


class Row(NamedTuple):
  """A benchmark in a process of its own.

  Attributes:
    name: name of the row, for --only.
    command: module below `benchmarks`, and its flags.
    seconds: time after which the process is ended.
    goals: {part of a figure's name: its goal}; the first that is in the name.
      `benchmarks.goals` has those of steps and inferences beside peers.
    peers: {package, or compiler.NAME, that a peer needs: flags where it is
      missing; None: the row needs it to run}.
    tiers: the tiers that it is part of; without any it is run by its name.
  """

  name: str
  command: Sequence[str]
  seconds: int
  goals: Mapping[str, str] = {}
  peers: Mapping[str, Sequence[str] | None] = {}
  tiers: Sequence[Tier] = ("full",)


_TORCH = {"torch": ("--notorch",), "transformers": ("--notorch",)}
_COMPILED = {**_TORCH, compiler.NAME: ("--nocompile",)}
_ONNX = {"onnx": ("--noonnx",), "onnxruntime": ("--noonnx",)}
# The shape of `make pretrain`: rows of 128 tokens, a vocabulary of 4,096.
_DEMO = ("--batch_size=16", "--vocab_size=4096")
_DEMO_STEP = (*_DEMO, "--slots=0")
_LONG = ("--batch_size=2", "--seq_length=512")
# A large batch, at which an optimizer's share of the step is small.
_LARGE_BATCH = ("--batch_size=32", "--notorch")

ROWS: Sequence[Row] = (
  Row(
    "tiny_step",
    ("train_step", "--size=tiny", *_DEMO_STEP, "--rounds=15"),
    35,
    {},
    _TORCH,
    ("full", "quick"),
  ),
  Row(
    "batches",
    (
      *("input_pipeline", "--batch_size=32", "--seq_length=128"),
      *("--tokens=4000000", "--turn_tokens=500000", "--rounds=3"),
    ),
    45,
    {"store to batches": "≥ 20 M tokens/s/core"},
    {"torch": (), "transformers": ()},
    ("full", "quick"),
  ),
  Row(
    "prepare",
    (
      *("prepare", "--books=stdlib", "--vocabulary=tests/data/vocab.txt"),
      *("--nolearn", "--runs=1"),
    ),
    40,
    {"text to store": "≥ 2 M tokens/s/core"},
    tiers=("full", "quick"),
  ),
  Row(
    "tiny_restart",
    ("restart", "--size=tiny", "--rounds=1"),
    50,
    {"beyond the longer": "≤ 1 s"},
    tiers=("quick",),
  ),
  Row(
    "base_step",
    ("train_step", "--compile", "--rounds=3"),
    300,
    {"cold compile": "≤ 6 s"},
    _COMPILED,
  ),
  *(
    Row(
      f"base_products{ending}",
      ("products", *arguments),
      50,
      {},
      {"torch": ("--notorch",)},
    )
    for ending, arguments in (
      ("", ()),
      ("_bfloat16", ("--dtype=bfloat16",)),
    )
  ),
  Row(
    "base_inference",
    ("inference", "--compile", "--rounds=5"),
    200,
    {},
    {**_COMPILED, **_ONNX},
  ),
  Row(
    "base_step_bfloat16",
    ("train_step", "--dtype=bfloat16", "--rounds=5"),
    270,
    {},
    _TORCH,
  ),
  Row(
    "base_step_512",
    ("train_step", *_LONG, "--slots=0", "--compile", "--rounds=3"),
    240,
    {},
    _COMPILED,
  ),
  Row(
    "base_inference_512",
    ("inference", *_LONG, "--rounds=5"),
    150,
    {},
    {**_TORCH, **_ONNX},
  ),
  Row(
    "base_inference_bfloat16",
    ("inference", "--dtype=bfloat16", "--rounds=3"),
    110,
    {},
    _TORCH,
  ),
  Row(
    "restart",
    ("restart", "--size=base"),
    240,
    {"beyond the longer": "≤ 1 s"},
  ),
  Row(
    "mini_step",
    ("train_step", "--size=mini", *_DEMO_STEP, "--compile", "--rounds=7"),
    110,
    {},
    _COMPILED,
  ),
  Row(
    "mini_inference",
    ("inference", "--size=mini", *_DEMO, "--compile"),
    100,
    {},
    {**_COMPILED, **_ONNX},
  ),
  Row(
    "tiny_step_compiled",
    ("train_step", "--size=tiny", *_DEMO_STEP, "--compile", "--rounds=15"),
    80,
    {},
    _COMPILED,
  ),
  Row(
    "tiny_inference",
    ("inference", "--size=tiny", *_DEMO, "--compile", "--rounds=15"),
    80,
    {},
    {**_COMPILED, **_ONNX},
  ),
  Row(
    "prediction",
    ("prediction", "--minutes=2", "--count=512"),
    240,
    {"int8": "ratio ≥ 2.5", "bertjax": "ratio ≥ 1.11"},
    dict.fromkeys((*_TORCH, *_ONNX)),
  ),
  Row(
    "input_wait",
    ("data_overhead", "--size=tiny", "--batch_size=16", "--steps=50"),
    120,
    {"waiting for a batch": "≤ 1 %"},
  ),
  *(
    Row(
      f"{name}_step{shape}_bfloat16",
      ("train_step", *arguments, "--dtype=bfloat16", f"--rounds={rounds}"),
      seconds,
      {},
      _TORCH,
    )
    for name, shape, arguments, rounds, seconds in (
      ("tiny", "", ("--size=tiny", *_DEMO_STEP), 15, 50),
      ("mini", "", ("--size=mini", *_DEMO_STEP), 7, 80),
      ("base", "_512", (*_LONG, "--slots=0"), 3, 180),
    )
  ),
  *(
    Row(
      f"{size}_step_{name}",
      ("train_step", f"--optimizer={name}", *arguments, f"--rounds={rounds}"),
      seconds,
    )
    for name, size, arguments, rounds, seconds in (
      ("lamb", "base", _LARGE_BATCH, 3, 180),
      ("muon", "base", _LARGE_BATCH, 3, 180),
      ("muon", "tiny", ("--size=tiny", *_DEMO_STEP, "--notorch"), 15, 40),
    )
  ),
  Row("optimizers", ("optimizers",), 150),
  Row("masking", ("masking", "--alone"), 90),
  Row("pods", ("pod_numbers",), 2 * 3600, {}, {"libtpu": None}, ("tpu",)),
  *(
    Row(
      f"{name}_inference{shape}_bfloat16",
      ("inference", *arguments, "--dtype=bfloat16", "--rounds=5"),
      200,
      {},
      _TORCH,
      (),
    )
    for name, shape, arguments in (
      ("tiny", "", ("--size=tiny", *_DEMO)),
      ("mini", "", ("--size=mini", *_DEMO)),
      ("base", "_512", _LONG),
    )
  ),
)


def of_tier(tier: Tier, only: Sequence[str] = ()) -> list[Row]:
  """Return the rows of a tier, or those that are named.

  Raises:
    ValueError: there is no row of a name.
  """
  names = [row.name for row in ROWS]
  for name in only:
    if name not in names:
      raise ValueError(f"--only={name} is no row; give some of {names}")
  return [
    row for row in ROWS if (row.name in only if only else tier in row.tiers)
  ]


def goal_of(row: Row, what: str, own: str = "") -> str:
  """Return the goal of a figure of a row; `own` is the figure's own, or ""."""
  found = (goal for part, goal in row.goals.items() if part in what)
  return next(found, own)
