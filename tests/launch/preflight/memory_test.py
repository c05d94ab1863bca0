# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses
import json

import jax
import pytest

from bertjax.config import FinetuneConfig, MeshConfig, TaskConfig
from bertjax.finetune import programs
from bertjax.parallel.mesh import make_mesh
from bertjax.train import memory
from launch import finetune, pretrain
from launch.preflight.memory import judge_memory, judge_trials
from launch.preflight.policy import DEFAULT, Policy
from launch.preflight.settle import RECORD
from launch.run.assembly import assemble
from tests.testing import small, trials

DEVICE_BYTES = "bertjax.train.memory.device_bytes"


@pytest.fixture(scope="module")
def spec(one_device, two_phases):
  del one_device
  return assemble(two_phases)


def test_train_and_evaluation_of_each_phase_are_judged(spec):
  roomy = list(judge_memory(spec, spec.phases, DEFAULT, limit=2**40))
  assert [each.level for each in roomy] == ["pass"] * 4
  assert [each.text.split(" step")[0] for each in roomy] == [
    *("the train", "the evaluation") * 2
  ]
  needed = [round(each.figure * 2**40) for each in roomy]
  # A train step holds the optimizer and gradients as well.
  assert needed[0] > needed[1]
  tight = list(judge_memory(spec, spec.phases, DEFAULT, limit=max(needed) - 1))
  assert "fail" in [each.level for each in tight]


def test_a_step_that_the_run_does_not_take_is_not_compiled(spec):
  second = dataclasses.replace(spec.phases[1], evaluation={})
  (found,) = judge_memory(spec, [second], DEFAULT, limit=2**40)
  assert found.text.startswith("the train step at 32 tokens")


def test_nothing_is_compiled_where_a_device_does_not_know_its_memory(
  spec, monkeypatch
):
  monkeypatch.setattr(
    "launch.preflight.memory._needed", lambda *_: pytest.fail("compiled")
  )
  assert list(judge_memory(spec, spec.phases, DEFAULT)) == []


@pytest.mark.usefixtures("one_device")
def test_a_run_that_does_not_fit_ends_before_its_first_step(
  two_phases, tmp_path, monkeypatch, caplog
):
  """A user may allow it, and nothing is compiled twice then."""
  monkeypatch.setattr(DEVICE_BYTES, lambda _: 1_000)
  with pytest.raises(ValueError, match=r"accumulation.*--allow=device_memory"):
    pretrain.run(two_phases, str(tmp_path / "w"))
  assert not any((tmp_path / "w" / "checkpoints").iterdir())
  assert not (tmp_path / "w" / "metrics.jsonl").exists()
  policy = Policy(allow=frozenset(["device_memory"]))
  caplog.clear()
  with jax.log_compiles():
    result = pretrain.run(two_phases, str(tmp_path / "w"), policy=policy)
  assert result.step == two_phases.steps
  for name in ("train_step", "eval_step"):
    assert caplog.text.count(f"XLA compilation of jit({name})") == 2, name
  stored = json.loads((tmp_path / "w" / RECORD).read_text())
  assert [each["name"] for each in stored if each["allowed"]] == [
    "device_memory"
  ] * 4


def test_the_steps_of_fine_tuning_are_judged():
  inputs = trials.make_inputs(trials.CONFIG)
  train, evaluation = judge_trials(inputs, (0,), DEFAULT, limit=2**40)
  assert train.level == evaluation.level == "pass"
  assert train.text.startswith("the train step at 8 tokens needs ")
  assert evaluation.text.startswith("the evaluation step at 8 tokens needs ")
  assert train.figure > evaluation.figure
  # Each copy of the parameters counts.
  more = dataclasses.replace(inputs, kept=3)
  kept, _ = judge_trials(more, (0,), DEFAULT, limit=2**40)
  assert round((kept.figure - train.figure) * 2**40) == 3 * sum(
    leaf.nbytes for leaf in jax.tree.leaves(inputs.start(0).params)
  )
  needed = round(train.figure * 2**40)
  tight, fits = judge_trials(inputs, (0,), DEFAULT, limit=needed - 1)
  assert (tight.level, fits.level) == ("fail", "pass")


def test_runs_at_once_are_judged_together():
  inputs = trials.make_inputs(trials.CONFIG)
  alone, read = judge_trials(inputs, (0,), DEFAULT, limit=2**40)
  several, evaluated = judge_trials(inputs, (0, 1, 2), DEFAULT, limit=2**40)
  assert several.text.startswith("the train (3 runs at once) step at 8 tokens")
  assert several.figure > 2 * alone.figure
  # The stacked states stay while one is evaluated, and the best of each.
  params = inputs.programs.abstract.params
  moments = inputs.programs.abstract.opt_state
  assert round((evaluated.figure - read.figure) * 2**40) == (
    2 * memory.shard_bytes(moments) + (3 + 2) * memory.shard_bytes(params)
  )
  needed = round(several.figure * 2**40)
  tight, _ = judge_trials(inputs, (0, 1, 2), DEFAULT, limit=needed - 1)
  assert tight.level == "fail"
  assert "--config.runs_at_once" in str(tight)


def test_trials_run_what_was_judged(tmp_path, monkeypatch, caplog):
  """One that does not fit ends before its first step; a user may allow it."""
  for module in ("launch.tasks", "bertjax.finetune.arm"):
    monkeypatch.setattr(
      f"{module}.make_mesh", lambda config: make_mesh(config, jax.devices()[:2])
    )
  small.make_bundle(tmp_path / "bundle")
  config = FinetuneConfig(
    steps=4,
    batch_size=8,
    evaluation_batch_size=8,
    evaluations=2,
    seq_length=12,
    learning_rates=(1e-3,),
    seeds=2,
    mesh=MeshConfig(zero1=True),
    task=TaskConfig(
      kind="table",
      train=small.write_table(tmp_path / "t.jsonl", small.make_texts(64, 0)),
      dev=small.write_table(tmp_path / "d.jsonl", small.make_texts(16, 1)),
      test_rate=0,
    ),
  )
  run = (config, str(tmp_path / "bundle"), str(tmp_path / "w"))
  monkeypatch.setattr(DEVICE_BYTES, lambda _: 1_000)
  with pytest.raises(ValueError, match=r"batch_size.*--allow=device_memory"):
    finetune.run(*run)
  assert not list((tmp_path / "w").glob("trials/*/*"))
  policy = Policy(allow=frozenset(["device_memory"]))
  programs._make_programs.cache_clear()
  caplog.clear()
  with jax.log_compiles():
    finetune.run(*run, policy=policy)
  for name in ("train_step", "outputs"):
    assert caplog.text.count(f"XLA compilation of jit({name})") == 1, name
  stored = json.loads((tmp_path / "w" / RECORD).read_text())
  assert [each["name"] for each in stored if each["allowed"]] == [
    "device_memory"
  ] * 2
