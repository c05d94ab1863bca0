# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Both sides compute the same, and finished runs are not repeated."""

import dataclasses

import jax
import numpy as np
import pytest

from benchmarks import (
  torch_training,
  training_cases,
  transformers_training,
)
from benchmarks.transformers_training import OURS, PACKED, THEIRS
from bertjax.config import FinetuneConfig, FinetuneOptimizerConfig, TaskConfig
from bertjax.parallel.mesh import make_mesh
from bertjax.trials.store import TrialStore
from tests.testing import small

CONFIG = FinetuneConfig(
  steps=30,
  batch_size=8,
  evaluations=1,
  seq_length=16,
  learning_rates=(1e-2,),
  warmup_rate=0.25,
  seeds=2,
  metric="accuracy",
  hidden_dropout_rate=0.0,
  attention_dropout_rate=0.0,
  optimizer=FinetuneOptimizerConfig(
    name="adamw_corrected",
    schedule="linear_joined",
    clip_norm=0.5,
    weight_decay=1.0,
  ),
)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
  """A case of pairs of texts, and what its scores depend on."""
  folder = tmp_path_factory.mktemp("training")
  bundle = small.make_bundle(folder / "bundle")
  paths = []
  for seed, count in enumerate((40, 24)):
    texts = small.make_texts(count, seed)
    others = ["the hill.", "", "a river and a hill."]
    lines = [f"{t}\t{others[i % 3]}\t{c}" for i, (t, c) in enumerate(texts)]
    paths.append(folder / f"{seed}.tsv")
    paths[-1].write_text("text\tother\tlabel\n" + "\n".join(lines))
  task = TaskConfig(
    kind="table",
    train=str(paths[0]),
    dev=str(paths[1]),
    text_pair="other",
    test_rate=0,
    skip_bad_rows=True,
  )
  config = dataclasses.replace(CONFIG, task=task)
  with pytest.MonkeyPatch.context() as patch:
    for module in ("launch.tasks", "bertjax.finetune.arm"):
      patch.setattr(
        f"{module}.make_mesh",
        lambda config: make_mesh(config, jax.devices()[:1]),
      )
    yield training_cases.prepare(config, bundle, folder / "task")


def other(case):
  return torch_training.Task(case.folder, case.recipe, case.epoch)


def test_both_sides_learn_the_same(prepared):
  """Weights, batches, rates, decay, clipping and dropout's absence agree."""
  case, _ = prepared
  for seed in range(2):
    ours = transformers_training.train_ours(case, seed)
    theirs = other(case).train(seed)
    assert ours["train_loss"] == pytest.approx(theirs["train_loss"], rel=2e-4)
    assert ours["accuracy"] == theirs["accuracy"]


def test_an_epoch_in_turns_is_timed(prepared):
  case, _ = prepared
  served = other(case)
  ask = lambda _, method, arguments: getattr(served, method)(*arguments)
  found = transformers_training.measure(case, "task", ask, turns=2)
  assert next(iter(found)) == PACKED
  assert len(found) == 3
  assert all(len(turns) == 2 and min(turns) > 0 for turns in found.values())


def test_rows_of_like_length_stand_together():
  length_N = np.random.default_rng(0).integers(2, 60, 320)
  order = torch_training.group_by_length(length_N, 8)
  assert sorted(order) == list(range(320))
  padded = lambda rows: length_N[rows].reshape(-1, 8).max(axis=1).sum()
  assert padded(order) < 0.75 * padded(np.arange(320))


def test_finished_runs_are_read_back(prepared, tmp_path, monkeypatch, capsys):
  case, identity = prepared
  done = []

  def train(side, seed):
    done.append((side, seed))
    return {"accuracy": 0.5 + seed / 10, "train_loss": 1.0, "seconds": 2.0}

  monkeypatch.setattr(
    transformers_training, "train_ours", lambda _, seed: train(OURS, seed)
  )
  ask = lambda _, __, arguments: train(THEIRS, *arguments)
  stores = {"task": TrialStore(tmp_path, identity)}
  run = lambda is_over: transformers_training.train_all(
    {"task": case}, stores, ask, is_over
  )
  run(lambda: len(done) > 2)
  assert done == [(OURS, 0), (THEIRS, 0), (OURS, 1)]
  table = transformers_training.score_table(stores, 2)
  assert "1 of 2" in table
  run(lambda: False)
  assert done == [(side, seed) for seed in (0, 1) for side in (OURS, THEIRS)]
  run(lambda: pytest.fail("asked"))
  assert "seed 1, transformers: accuracy 0.6000" in capsys.readouterr().out


def test_tables_have_ratios_and_say_what_is_met(tmp_path):
  seconds = {PACKED: [2.0, 4.0, 3.0], "slow": [4.0] * 3, "fast": [3.0] * 3}
  lines = transformers_training.time_table({"task": seconds}).splitlines()
  cells = [[cell.strip() for cell in line.split("|")] for line in lines[2:]]
  assert [line[3:5] for line in cells] == [
    *(["3.0", "2.0 to 4.0"], ["4.0", "4.0 to 4.0"], ["3.0", "3.0 to 3.0"])
  ]
  assert [line[5:7] for line in cells] == [
    *(["", ""], ["0.75", "met"], ["1.00", "missed"])
  ]
  store = TrialStore(tmp_path, {})
  for side, values in ((OURS, (0.80, 0.82)), (THEIRS, (0.81, 0.83))):
    for seed, value in enumerate(values):
      trial = transformers_training.make_trial(side, seed)
      store.run(trial, lambda _, value=value: {"accuracy": value})
  table = transformers_training.score_table({"task": store}, 2)
  assert "81.00 ± 1.41" in table
  assert "82.00 ± 1.41" in table
  assert table.splitlines()[-1].split("|")[-2].strip() == "yes"
