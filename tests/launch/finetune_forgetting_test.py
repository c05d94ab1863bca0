# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Each trial tells what it has forgotten of pre-training."""

import dataclasses
import json

import numpy as np
import pytest

from benchmarks import forgetting as benchmark
from bertjax.config import (
  FinetuneConfig,
  FinetuneOptimizerConfig,
  LayersConfig,
  TaskConfig,
)
from bertjax.finetune import experiment
from bertjax.finetune.results import ArmResult
from launch import finetune
from tests.testing import small, small_stores

pytestmark = pytest.mark.usefixtures("small_programs")

CONFIG = FinetuneConfig(
  steps=6,
  batch_size=8,
  evaluation_batch_size=16,
  evaluations=1,
  seq_length=12,
  learning_rates=(1e-2,),
  seeds=2,
  optimizer=FinetuneOptimizerConfig(name="adamw_corrected"),
)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
  """A folder with a bundle, a store of its tokenizer, and tables."""
  folder = tmp_path_factory.mktemp("place")
  bundle = small.make_bundle(folder / "bundle")
  for seed, (name, count) in enumerate((("train", 32), ("dev", 16))):
    small.write_table(folder / f"{name}.jsonl", small.make_texts(count, seed))
  small_stores.make_store(folder, bundle, "0.3")
  return folder


def run(place, work, store="store0.3", **changes):
  task = TaskConfig(
    kind="table",
    train=str(place / "train.jsonl"),
    dev=str(place / "dev.jsonl"),
    test_rate=0.0,
  )
  config = dataclasses.replace(CONFIG, **{"task": task, **changes})
  reference = str(place / store) if store else ""
  return finetune.run(
    config,
    str(place / "bundle"),
    str(place / work),
    reference_store=reference,
  )


@pytest.fixture(scope="module")
def result(place):
  return run(place, "work")


def test_trials_results_and_pages_say_what_is_forgotten(place, result):
  work = place / "work"
  found = result.forgetting
  # Nothing was learned yet: the loss is that of random weights.
  assert found.mlm_loss_before == pytest.approx(np.log(32), abs=0.5)
  assert len(found.cosines) == 2
  assert all(0 < each.mean < 0.999 for each in found.cosines)
  trials = [
    json.loads((work / f"trials/rate0.01-seed{s}/result.json").read_text())
    for s in range(2)
  ]
  losses = [each["result"]["forgetting"]["mlm_loss"] for each in trials]
  assert list(found.mlm_loss.values) == losses
  assert losses[0] != losses[1]
  saved = json.loads((work / "results.json").read_text())
  assert ArmResult.from_json(saved) == result
  for name in ("results.md", "report.html"):
    assert f"{found.mlm_loss_before:.4f} nats" in (work / name).read_text()


def test_a_rerun_measures_nothing_again(place, result, monkeypatch):
  monkeypatch.setattr(experiment, "run_trial", None)
  assert run(place, "work") == result


def test_measuring_changes_no_score(place, result):
  alone = run(place, "alone", store="")
  assert alone.scores == result.scores
  assert alone.forgetting is None
  with pytest.raises(ValueError, match=r"reference\.\w+=None, not") as caught:
    run(place, "alone")
  assert "\n" not in str(caught.value)


def test_an_encoder_that_does_not_move_has_forgotten_nothing(place):
  found = run(place, "frozen", layers=LayersConfig(frozen=2)).forgetting
  assert set(found.mlm_loss.values) == {found.mlm_loss_before}
  for each in found.cosines:
    assert each.mean == pytest.approx(1, abs=1e-6)


def test_the_benchmark_resumes_and_prints_a_row_for_each_arm(
  place, tmp_path, monkeypatch
):
  arms = benchmark.make_arms(2)
  assert arms.pop("layer-wise decay 0.5")  # another program to compile
  settings = {
    **{name: vars(CONFIG)[name] for name in ("steps", "batch_size", "seeds")},
    "task.train": str(place / "train.jsonl"),
    "task.dev": str(place / "dev.jsonl"),
    "task.test_rate": 0.0,
    "evaluation_batch_size": 16,
    "evaluations": 1,
    "seq_length": 12,
    "learning_rates": (1e-2,),
  }
  places = str(place / "bundle"), str(place / "store0.3"), tmp_path
  text = benchmark.run(arms, settings, *places)
  assert all(f"| {name} " in text for name in arms)
  assert "cosine, layer 2" in text
  assert (tmp_path / benchmark.TABLE).read_text() == text + "\n"
  monkeypatch.setattr(experiment, "run_trial", None)
  assert benchmark.run(arms, settings, *places) == text
  later = benchmark.table({**arms, "another": {}}, tmp_path)
  assert "| another " in later
  assert benchmark.NOT_RUN in later
