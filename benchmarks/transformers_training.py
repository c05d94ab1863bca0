# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
r"""Fine-tune on two tasks here and with transformers: scores and time.

    python -m benchmarks.transformers_training --bundle=DIR --data=DIR \
      [--output=DIR] [--seeds=3] [--minutes=12]

`--data` has the folders `banking77` (train.csv, test.csv) and `rte` (GLUE's
files). Both sides train BertForSequenceClassification in float32 from the same
weights, those of the new head included, on the same batches of every seed, with
the same optimizer, schedule, rates of dropout and number of steps, and are
scored once, at the end: banking77 on test, RTE on dev. Only the random numbers
of dropout and the order of additions differ. The other side is transformers'
model in a loop of PyTorch, see `benchmarks.torch_training`.

Time is measured first: an epoch of each in turns of some steps, ours with
several texts in a row, transformers' with batches as long as their longest text
and with texts of like length together, which its scores do not use. Then seeds
train, until `--minutes` are over; running it again continues with those that
are not done.
"""

import contextlib
import dataclasses
import multiprocessing
import os
import pathlib
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import metadata
from typing import Any

# Before a process starts JAX.
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
from absl import flags

from benchmarks.torch_training import AS_DRAWN, BY_LENGTH, serve
from benchmarks.training_cases import Case, make_configs, prepare
from benchmarks.turns import PAUSE
from bertjax.finetune.trial import run_trial
from bertjax.interop.onnx import processor
from bertjax.parallel import feeding
from bertjax.trials.markdown import markdown
from bertjax.trials.statistics import summarize
from bertjax.trials.store import Trial, TrialStore
from launch import cli, host_memory

OURS, THEIRS = "bertjax", "transformers"
PACKED = "bertjax, packed"
GOAL = 0.8


# (task, method, arguments) → what that method of `torch_training.Task` returns.
Ask = Callable[[str, str, tuple[Any, ...]], Any]


@contextlib.contextmanager
def start_other(cases: Mapping[str, Case]) -> Iterator[Ask]:
  """Yield how to ask the process of transformers."""
  context = multiprocessing.get_context("spawn")
  ours, theirs = context.Pipe()
  given = {
    name: (case.folder, case.recipe, case.epoch) for name, case in cases.items()
  }
  process = context.Process(target=serve, args=(given, theirs), daemon=True)
  process.start()
  theirs.close()  # so that the end of the process is the end of the pipe

  def ask(task: str, method: str, arguments: tuple[Any, ...]) -> Any:
    ours.send((task, method, arguments))
    return ours.recv()

  try:
    yield ask
  finally:
    with contextlib.suppress(OSError):
      ours.send(None)
    process.join()


def our_turn(case: Case) -> Callable[[Sequence[int]], float]:
  """Return a function that takes steps and returns the seconds."""
  inputs, programs = case.inputs, case.inputs.programs
  step_once = programs.train_step_of(0)
  state = inputs.start(0)

  def turn(steps: Sequence[int]) -> float:
    nonlocal state
    metrics: Any = None
    began = time.perf_counter()
    for step in steps:
      batch = feeding.put_batch(inputs.train(0, step), programs.mesh)
      state, metrics = step_once(state, batch)
    jax.block_until_ready(metrics)
    return time.perf_counter() - began

  return turn


def measure(
  case: Case, name: str, ask: Ask, turns: int
) -> dict[str, list[float]]:
  """Return seconds of an epoch, for each turn of each way.

  A turn takes every `turns`-th step of an epoch, so that all together are one.
  """
  ours = our_turn(case)
  ways: dict[str, Callable[[Sequence[int]], float]] = {PACKED: ours}
  for way in (AS_DRAWN, BY_LENGTH):
    ways[f"{THEIRS}, {way}"] = lambda steps, way=way: ask(
      name, "turn", (way, steps)
    )
  for way in ways.values():
    way([0])  # compiles
  seconds: dict[str, list[float]] = {way: [] for way in ways}
  count = case.epoch_steps
  turns = min(turns, count)
  names = list(ways)
  for number in range(turns):
    first = number % len(names)
    steps = range(number, count, turns)
    for way in names[first:] + names[:first]:
      time.sleep(PAUSE)
      spent = ways[way](steps)
      seconds[way].append(spent / len(steps) * count)
  return seconds


def time_table(seconds: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
  """Return a table of seconds an epoch and ratios: the medians of the turns.

  Args:
    seconds: {task: what `measure` returns}.
  """
  lines = []
  for task, ways in seconds.items():
    for way, turns in ways.items():
      ratios = [a / b for a, b in zip(ways[PACKED], turns, strict=True)]
      ratio = statistics.median(ratios)
      verdict = [f"{ratio:.2f}", "met" if ratio <= GOAL else "missed"]
      if way == PACKED:
        verdict = ["", ""]
      span = f"{min(turns):.1f} to {max(turns):.1f}"
      lines.append([task, way, f"{statistics.median(turns):.1f}", span])
      lines[-1] += verdict
  header = ["task", "way", "s/epoch", "turns", f"{PACKED} / it", f"≤ {GOAL}"]
  return markdown(header, lines)


def train_ours(case: Case, seed: int) -> dict[str, float]:
  """Train and evaluate with bertjax."""
  began = time.perf_counter()
  (rate,) = case.config.learning_rates
  run = run_trial(case.inputs, case.config, learning_rate=rate, seed=seed)
  return {
    "accuracy": run.result.dev["accuracy"],
    "train_loss": run.result.train_loss,
    "seconds": time.perf_counter() - began,
  }


def train_all(
  cases: Mapping[str, Case],
  stores: Mapping[str, TrialStore],
  ask: Ask,
  is_over: Callable[[], bool],
) -> None:
  """Train the seeds that have no result, until the time is over."""
  seeds = max(case.config.seeds for case in cases.values())
  for seed in range(seeds):
    for name, case in cases.items():
      for side in (OURS, THEIRS):
        trial = make_trial(side, seed)
        if stores[name].result(trial) is None:
          if is_over():
            return
          train: Callable[[], Mapping[str, float]] = (
            (lambda case=case, seed=seed: train_ours(case, seed))
            if side == OURS
            else (lambda name=name, seed=seed: ask(name, "train", (seed,)))
          )
          stores[name].run(trial, lambda _, train=train: train())
        found = stores[name].result(trial)
        assert found is not None
        print(
          f"{name}, seed {seed}, {side}: accuracy {found['accuracy']:.4f}, "
          f"loss {found['train_loss']:.4f}, {found['seconds']:.0f} s",
          flush=True,
        )


def make_trial(side: str, seed: int) -> Trial:
  """Return the trial of a side and a seed."""
  return Trial(f"{side}-seed{seed}", {"side": side, "seed": seed})


def score_table(stores: Mapping[str, TrialStore], seeds: int) -> str:
  """Return a table of accuracies over the seeds that both sides finished."""
  lines = []
  for task, store in stores.items():
    values: dict[str, list[float]] = {OURS: [], THEIRS: []}
    for seed in range(seeds):
      found = {side: store.result(make_trial(side, seed)) for side in values}
      for side, result in found.items():
        if None not in found.values() and result is not None:
          values[side].append(100 * result["accuracy"])
    count = len(values[OURS])
    if not count:
      lines.append([task, f"0 of {seeds}", "", "", ""])
      continue
    ours, theirs = summarize(values[OURS]), summarize(values[THEIRS])
    verdict = "one seed has no spread"
    if theirs.std is not None:
      inside = abs(ours.mean - theirs.mean) <= theirs.std
      verdict = "yes" if inside else f"no: {ours.mean - theirs.mean:+.2f}"
    cells = [
      f"{each.mean:.2f} ± {each.std or 0:.2f}" for each in (ours, theirs)
    ]
    lines.append([task, f"{count} of {seeds}", *cells, verdict])
  header = ["task", "seeds", f"{OURS}, %", f"{THEIRS}, %"]
  return markdown([*header, "our mean is within its std"], lines)


def describe_machine() -> str:
  """Return processor, versions and load."""
  packages = ("jax", "torch", "transformers")
  versions = (f"{name} {metadata.version(name)}" for name in packages)
  load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
  return f"{processor.describe()}; {', '.join(versions)}; load {load}"


def define_flags() -> None:
  """Define the flags; not at import, because tests import this."""
  flags.DEFINE_string("bundle", None, "Encoder to start from.", required=True)
  flags.DEFINE_string("data", None, "Folder of the tasks.", required=True)
  flags.DEFINE_string(
    "output", "runs/transformers_training", "Folder to write."
  )
  flags.DEFINE_integer("seeds", 3, "Seeds of each task and side.")
  flags.DEFINE_integer(
    "turns", 4, "Turns of the times, an epoch in all; 0 measures no time."
  )
  flags.DEFINE_float(
    "minutes", 0.0, "Begin no run after so many minutes; 0 trains all seeds."
  )
  flags.DEFINE_list(
    "labels", ["20", "200"], "Labels of each class of banking77 and RTE; 0 all."
  )
  flags.DEFINE_list("epochs", ["4", "3"], "Epochs of banking77 and RTE.")


def main(_: Sequence[str]) -> None:
  """Measure, train and print."""
  values, began = flags.FLAGS, time.monotonic()
  configs = make_configs(
    pathlib.Path(values.data),
    [int(each) for each in values.labels],
    [float(each) for each in values.epochs],
  )
  cases, stores = {}, {}
  for name, config in configs.items():
    folder = pathlib.Path(values.output) / name
    config = dataclasses.replace(config, seeds=values.seeds)
    cases[name], identity = prepare(config, values.bundle, folder)
    stores[name] = TrialStore(folder, identity)
  print(describe_machine(), flush=True)
  with start_other(cases) as ask:
    if values.turns:
      seconds = {
        name: measure(case, name, ask, values.turns)
        for name, case in cases.items()
      }
      print(time_table(seconds), flush=True)

    def is_over() -> bool:
      spent = (time.monotonic() - began) / 60
      return 0 < values.minutes <= spent

    train_all(cases, stores, ask, is_over)
  print(score_table(stores, values.seeds), flush=True)
  print(describe_machine(), flush=True)


if __name__ == "__main__":
  host_memory.retain()
  define_flags()
  cli.run(main)
