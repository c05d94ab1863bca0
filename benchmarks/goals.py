# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What a train step and an inference should take beside each peer, and a study.

Goals of the first two depend on the processor: PyTorch's products reach more of
an Intel Xeon than of an AMD EPYC, and its autocast is slower than float32 where
there is no AMX, so that being faster than it says nothing there.
"""

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

from benchmarks.turns import COMPILED, EAGER, ONNX, OURS_ADAMW, OURS_FLOAT32
from bertjax.interop.onnx.processor import Processor, describe

What = Literal["train step", "inference"]


def _is_epyc(found: Processor) -> bool:
  return "EPYC" in found.name


def _has_amx(found: Processor) -> bool:
  # Every processor with AMX for int8 has it for bfloat16.
  return "AMX" in (found.instructions or ())


class _Rule(NamedTuple):
  """A goal, and where it holds.

  Attributes:
    timed: what is timed.
    low: whether in a low precision.
    peers: names of the peers.
    goal: of the ratio to them.
    holds: whether it holds on a processor.
  """

  timed: tuple[What, ...]
  low: bool
  peers: tuple[str, ...]
  goal: str
  holds: Callable[[Processor], bool] = lambda _: True


_TORCH = (EAGER, COMPILED)
_STEP: tuple[What, ...] = ("train step",)
_BOTH: tuple[What, ...] = ("train step", "inference")
_RULES = (
  _Rule(_STEP, False, _TORCH, "ratio ≤ 0.80", _is_epyc),
  _Rule(_STEP, False, _TORCH, "ratio ≤ 0.90", lambda each: not _is_epyc(each)),
  _Rule(("inference",), False, _TORCH, "ratio ≤ 0.90"),
  _Rule(("inference",), False, (ONNX,), "ratio ≤ 1.0"),
  _Rule(_BOTH, True, _TORCH, "ratio ≤ 0.80", _has_amx),
  _Rule(
    _BOTH,
    True,
    (OURS_FLOAT32,),
    "ratio ≤ 0.80",
    lambda each: not _has_amx(each),
  ),
)
# Of a whole step, over one with AdamW that takes turns with it.
_OPTIMIZERS = {"lamb": "ratio ≤ 1.5", "muon": "ratio ≤ 1.3"}
# Of a study, at most, by what `benchmarks.trials_at_once` calls the figure.
_STUDY = {
  "study_to_trials": 1.05,
  "second_of_its_arm_steps_after_s": 3.0,
  "rerun_of_finished_s": 10.0,
}


def find(
  what: What, dtype: str, optimizer: str = "adamw", on: Processor | None = None
) -> dict[str, str]:
  """Return the goals of ratios to peers, by the name of the peer.

  Args:
    what: what is timed.
    dtype: dtype of compute.
    optimizer: name of the optimizer of the step.
    on: the processor; None is that of this machine.
  """
  found = on or describe()
  goals = {
    peer: rule.goal
    for rule in _RULES
    if what in rule.timed
    and rule.low == (dtype != "float32")
    and rule.holds(found)
    for peer in rule.peers
  }
  if optimizer in _OPTIMIZERS:
    goals[OURS_ADAMW] = _OPTIMIZERS[optimizer]
  return goals


def missed_by_study(figures: Mapping[str, float]) -> dict[str, float]:
  """Return {figure: goal} of what is above its goal.

  Args:
    figures: of `benchmarks.trials_at_once`, which may lack some.
  """
  return {
    name: goal
    for name, goal in _STUDY.items()
    if name in figures and figures[name] > goal
  }
