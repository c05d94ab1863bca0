# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What is reckoned is what is read."""

import dataclasses

import pytest

from bertjax.config import DataConfig, ProbesConfig
from bertjax.sweep.axes import expand
from bertjax.train import flops
from data_pipelines.rows.following import plan_pairs_that_follow
from launch import tasks
from launch.preflight.policy import Policy
from launch.run.reference_rows import make_reference
from launch.run.stores import VALIDATION
from launch.sweep.frozen import PROBES, open_probe_store
from launch.sweep.plan import make_plan
from launch.sweep.probe_costs import tuning_cost
from tests.testing import small


def forward(batches, rate=0.0):
  """FLOPs of a forward pass over batches."""
  counts = [flops.count(batch) for batch in batches]
  total = {name: sum(float(c[name]) for c in counts) for name in counts[0]}
  return flops.train_flops(small.MODEL, total, rate * total["tokens"]) / 3


def test_fine_tuning_costs_what_its_batches_do(config, place):
  tuned = dataclasses.replace(
    config.finetune,
    steps=0,
    epochs=3.0,
    evaluations=2,
    learning_rates=(1e-3, 2e-3),
    selection_seeds=2,
    seeds=3,
  )
  data, _ = tasks.load_data(tuned, small.MODEL, place / "store" / "tokenizer")
  found = tuning_cost(tuned, small.MODEL, data)
  train = data.splits["train"]
  assert found.steps == -(-3 * len(train) // tuned.batch_size)
  trained = forward(
    train.training(seed=0, step=step, batch_size=tuned.batch_size)
    for step in range(found.steps)
  )
  dev, test = (
    forward(each.arrays for each in data.splits[name].evaluation(16))
    for name in ("dev", "test")
  )
  # Two rates with two seeds, and the third seed of the better rate.
  expected = 5 * (3 * trained + 2 * dev + test)
  assert found.flops == pytest.approx(expected, rel=0.01)


def test_frozen_probes_cost_what_their_rows_do(config):
  given = expand(
    dataclasses.replace(config, probes=ProbesConfig(shared_rows=8, pairs=40))
  )
  store = open_probe_store(given)
  rate = given.pretrain.evaluation.mask_rate
  data = DataConfig(store=str(store.path), seq_length=16)
  pairs = plan_pairs_that_follow(store, VALIDATION, pairs=40, seq_length=16)
  read = {
    "shared_rows": forward(make_reference(store, data, 8).batches(8), rate),
    "pairs": forward([pairs.features]),
  }
  for name, probe in PROBES.items():
    # Full rows and all pairs, where some text is shorter.
    assert 0.6 < read[name] / probe.flops(given, small.MODEL) <= 1, name


def test_probes_count_at_every_share_of_the_steps(config):
  def plan(**probes):
    given = dataclasses.replace(config, probes=ProbesConfig(**probes))
    return make_plan(given, Policy())

  once, twice = plan(pairs=40), plan(pairs=40, at=(0.5, 1.0))
  alone = plan()
  for arm in config.arms:
    assert twice.probe_flops[arm] == 2 * once.probe_flops[arm]
    assert alone.probe_flops[arm] == alone.tuning[arm].flops
    assert alone.probe_flops[arm] < once.probe_flops[arm]
  rate = 1e6
  work = [
    once.costs[each.settings["arm"]].work.flops
    + once.probe_flops[each.settings["arm"]]
    for each in once.trials
  ]
  said = once.describe_hours(once.trials, rate)
  assert said.startswith(f"about {sum(work) / rate / 3600:.2f} h at 1e+06 ")
  assert said.endswith(" of probes")
