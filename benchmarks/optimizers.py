# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The memory traffic of one update by each optimizer, beside a copy's.

    python -m benchmarks.optimizers [--size=base] [--rounds=5]

An update reads gradients, parameters and state, and writes parameters and
state, and GB/s are those bytes over its time. The copy reads and writes as many
bytes in all, in place as the update does, and takes turns with it. An optimizer
that passes over memory once comes close to it. Muon also multiplies matrices.
`benchmarks.train_step --optimizer=lamb` times whole steps.
"""

import dataclasses
import functools
import os
import statistics
from collections.abc import Iterator, Sequence

# Before JAX starts a backend.
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
from absl import app, flags

from benchmarks import figures, turns, updates
from bertjax.config import SIZES, ModelConfig, OptimizerConfig, choices
from launch import host_memory

NAMES = choices(OptimizerConfig, "name")
_COPY = "a copy"
_LENGTH = 128  # of the rows that parameters are initialized with


def measure(
  config: ModelConfig, size: str, names: Sequence[str], rounds: int
) -> Iterator[figures.Figure]:
  """Yield GB/s of an update by each optimizer, and of a copy beside it.

  Args:
    config: shape of the model.
    size: its name.
    names: names of optimizers.
    rounds: timed turns of each, after two untimed.
  """
  params = updates.init_params(config, min(_LENGTH, config.max_positions))
  for name in names:
    update, moved = updates.make_update(name, params)
    contenders = {name: update, _COPY: updates.make_copy(moved)}
    spent = turns.interleave(
      {who: functools.partial(_wait, run) for who, run in contenders.items()},
      rounds,
    )
    ours, peer = (
      moved / statistics.median(clock for clock, _ in each) / 1e9
      for each in spent.values()
    )
    what = f"update by {name}, BERT-{size}"
    yield figures.Figure(what, ours, "GB/s", peer, _COPY)


def _wait(run: turns.Step) -> None:
  jax.block_until_ready(run())


def define_flags() -> None:
  """Define the flags; not at import, because tests import this."""
  flags.DEFINE_enum("size", "base", list(SIZES), "Shape of the model.")
  flags.DEFINE_integer("vocab_size", 30522, "Tokens of the vocabulary.")
  flags.DEFINE_integer("rounds", 5, "Timed turns of each, after two untimed.")
  flags.DEFINE_multi_enum("optimizer", list(NAMES), list(NAMES), "Which ones.")


def main(_: object) -> None:
  """Measure each optimizer of the flags, and print its figures."""
  values = flags.FLAGS
  host_memory.retain()
  config = dataclasses.replace(SIZES[values.size], vocab_size=values.vocab_size)
  for each in measure(config, values.size, values.optimizer, values.rounds):
    print(
      f"{each.what}: {each.ours:.1f} GB/s, a copy of as many bytes "
      f"{each.peer:.1f} GB/s, ratio {each.ratio:.2f}"
    )
    figures.record(each)


if __name__ == "__main__":
  define_flags()
  app.run(main)
