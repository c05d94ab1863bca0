# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses
import json

import jax
import numpy as np
import pytest

from bertjax.config import MeshConfig
from bertjax.finetune import keeping, trial
from bertjax.finetune.scores import cross_entropy
from bertjax.finetune.scores.calibration import (
  Answered,
  class_reliability,
  fit_temperature,
)
from bertjax.finetune.splits import Evaluation, evaluate, split_outputs
from bertjax.finetune.trial import TrialResult, run_trial
from bertjax.model.parameters import leaf_name
from bertjax.parallel import feeding
from bertjax.train import progress
from bertjax.train.hooks import Diverged
from bertjax.train.state import TrainState
from bertjax.trials.resampling import score_draws
from tests.testing.trials import CONFIG, STEPS, make_inputs

WORDS = "encoder/embeddings/word/embedding"


@pytest.fixture(scope="module")
def inputs():
  return make_inputs(CONFIG)


@pytest.fixture(scope="module")
def outcome(inputs):
  return run_trial(inputs, CONFIG, learning_rate=3e-3, seed=0)


def test_a_task_is_learned(inputs, outcome):
  fresh = inputs.start(0).params
  found = evaluate(inputs.programs, fresh, inputs.test)
  assert found.scores["accuracy"] < 0.7
  assert outcome.result.test["accuracy"] >= 0.95


def test_a_run_is_a_pure_function_of_rate_and_seed(inputs, outcome):
  again = run_trial(inputs, CONFIG, learning_rate=3e-3, seed=0)
  assert again.result == outcome.result
  jax.tree.map(np.testing.assert_array_equal, again.params, outcome.params)
  for rate, seed in ((3e-3, 1), (2e-3, 0)):
    other = run_trial(inputs, CONFIG, learning_rate=rate, seed=seed)
    assert other.result != outcome.result


def test_a_run_tells_a_listener_of_its_steps(inputs, outcome):
  told = []
  with progress.told_to(told.append):
    again = run_trial(inputs, CONFIG, learning_rate=3e-3, seed=0)
  assert again.result == outcome.result
  assert told[-1].startswith(f"step {STEPS}/{STEPS}  loss ")
  assert told[-1].endswith(" tokens/s")


def test_rates_seeds_and_arms_share_one_compiled_step(inputs, outcome):
  del outcome
  run_trial(inputs, CONFIG, learning_rate=1e-4, seed=5)
  # As another arm does, with other seeds.
  other = make_inputs(dataclasses.replace(CONFIG, seeds=9))
  assert other.programs is inputs.programs
  run_trial(other, CONFIG, learning_rate=1e-3, seed=2)
  assert inputs.programs.train_step._cache_size() == 1
  assert inputs.programs.outputs._cache_size() == 1


def test_the_best_checkpoint_on_dev_is_the_one_that_is_kept(
  inputs, monkeypatch
):
  seen = []
  accuracies = iter([0.5, 0.9, 0.7, 0.1])

  def judge(programs, params, split, tuned=()):
    del programs
    seen.append((jax.device_get(params), split))
    return Evaluation({"accuracy": next(accuracies), "loss": 1.0}, None)

  for module in (trial, keeping):
    monkeypatch.setattr(module, "evaluate", judge)
  run = run_trial(inputs, CONFIG, learning_rate=3e-3, seed=3)
  assert [point["step"] for point in run.result.curve] == [20, 40, 60]
  result = run.result
  assert result.best_step == 40
  assert (result.dev["accuracy"], result.test["accuracy"]) == (0.9, 0.1)
  jax.tree.map(np.testing.assert_array_equal, run.params, seen[1][0])
  # Test is looked at once, with what was kept.
  assert [split is inputs.test for _, split in seen] == [False] * 3 + [True]
  jax.tree.map(np.testing.assert_array_equal, run.params, seen[3][0])
  with pytest.raises(AssertionError):
    jax.tree.map(np.testing.assert_array_equal, run.params, seen[2][0])


def test_what_is_kept_scores_as_it_did(inputs, outcome):
  result = outcome.result
  for name, split in (("dev", inputs.dev), ("test", inputs.test)):
    found = evaluate(inputs.programs, outcome.params, split)
    assert found.scores == {"dev": result.dev, "test": result.test}[name]
    assert found.classes == result.classes[name]
    # The last batch is padded, and padding is no example.
    assert sum(result.classes[name].labels) == 30


def test_it_is_kept_which_examples_of_test_are_answered_rightly(
  inputs, outcome
):
  logits_NC = split_outputs(inputs.programs, outcome.params, inputs.test)[
    "logits_NC"
  ]
  right_N = logits_NC.argmax(axis=1) == inputs.test.windows["label_N"]
  (kept,) = outcome.result.right.values()
  assert [digit == "1" for digit in kept] == right_N.tolist()
  assert kept.count("1") / len(kept) == pytest.approx(
    outcome.result.test["accuracy"]
  )


def test_answers_to_parts_of_examples_are_no_answers_to_examples(inputs):
  """Such as tags: words of a text are no independent examples."""
  count = len(inputs.test.windows["label_N"])
  for several, kept in ((1, ["test"]), (2, [])):
    ids_N = np.zeros(count * several, np.int64)
    answered = Answered(np.zeros((len(ids_N), 1)), ids_N, ids_N == 0)
    assert [*trial._find_right(inputs, {"test": answered})] == kept


def test_it_is_kept_what_is_predicted_of_each_example_of_test(outcome):
  result = outcome.result
  columns = {name: np.asarray(e) for name, e in result.by_example.items()}
  assert {*columns} == {"label", "predicted"}
  for score in ("matthews", "macro_f1"):
    (found,) = score_draws(score, columns, np.ones((1, 30)))
    assert found == pytest.approx(result.test[score])
  assert TrialResult.from_json(result.to_json()) == result


def test_a_temperature_is_fitted_on_dev_and_reported_on_both(inputs, outcome):
  programs, params = inputs.programs, outcome.params
  logits_NC, test_NC = (
    split_outputs(programs, params, split)["logits_NC"]
    for split in (inputs.dev, inputs.test)
  )
  found = outcome.result.calibration
  assert found.temperature == fit_temperature(
    logits_NC, inputs.dev.windows["label_N"]
  )
  assert found.before["test"] == class_reliability(
    test_NC, inputs.test.windows["label_N"]
  )
  assert found.after["test"] == class_reliability(
    test_NC, inputs.test.windows["label_N"], found.temperature
  )
  # No score is of probabilities with the temperature.
  loss = cross_entropy(test_NC, inputs.test.windows["label_N"])
  assert outcome.result.test["loss"] == loss


def test_dropout_follows_the_seed_of_the_run(inputs):
  programs = inputs.programs
  batch = inputs.train(0, 0)

  def loss(seed):
    placed = feeding.put_batch(batch, programs.mesh)
    step = programs.train_step_of(seed)
    _, metrics = step(programs.initialize(0), placed)
    return float(metrics["loss"][0])

  assert loss(1) == loss(1)
  assert loss(1) != loss(2)


def test_a_run_that_diverges_says_so(inputs):
  with pytest.raises(Diverged, match="diverged"):
    run_trial(inputs, CONFIG, learning_rate=1e30, seed=0)


def test_a_run_that_diverges_at_its_last_step_says_so():
  # The loss of the only step is that of the initial parameters.
  warm = dataclasses.replace(CONFIG, warmup_rate=0.0)
  short = dataclasses.replace(make_inputs(warm), steps=1)
  with pytest.raises(Diverged, match=r"loss on dev is \S+ after step 1"):
    run_trial(short, CONFIG, learning_rate=1e38, seed=0)


def test_a_parameter_that_no_score_reads_is_looked_at(inputs):
  def start(seed):
    state = inputs.start(seed)
    params = jax.tree.map_with_path(
      lambda path, leaf: (
        leaf.at[1].set(np.nan) if leaf_name(path) == WORDS else leaf
      ),
      state.params,
    )
    return TrainState(state.step, params, state.opt_state)

  unread = dataclasses.replace(inputs, start=start, steps=2)
  with pytest.raises(Diverged, match=r"embeddings\S+ has nan or infinity"):
    run_trial(unread, CONFIG, learning_rate=1e-3, seed=0)


def test_a_trial_needs_no_test(inputs):
  alone = dataclasses.replace(inputs, test=None, steps=2)
  result = run_trial(alone, CONFIG, learning_rate=1e-3, seed=0).result
  assert result.test == {}
  assert set(result.classes) == {"dev"}


@pytest.mark.full
def test_every_mesh_learns_the_same():
  still = dataclasses.replace(
    CONFIG, hidden_dropout_rate=0.0, attention_dropout_rate=0.0
  )
  runs = []
  for mesh, devices in (
    (MeshConfig(data=1), 1),
    (MeshConfig(data=8), 8),
    (MeshConfig(data=2, fsdp=2, tensor=2), 8),
  ):
    config = dataclasses.replace(still, mesh=mesh)
    inputs = make_inputs(config, devices)
    runs.append(run_trial(inputs, config, learning_rate=1e-3, seed=0))
  for run in runs[1:]:
    for left, right in zip(runs[0].result.curve, run.result.curve, strict=True):
      assert abs(left["loss"] - right["loss"]) < 1e-4


def test_a_batch_that_the_task_does_not_declare_is_refused(inputs):
  wrong = dataclasses.replace(
    inputs,
    train=lambda seed, step: {
      **inputs.train(seed, step),
      "score_BR": np.zeros((CONFIG.batch_size, 1), np.float32),
    },
  )
  with pytest.raises(ValueError, match="score_BR"):
    run_trial(wrong, CONFIG, learning_rate=1e-3, seed=0)


def test_a_result_is_read_as_it_was_written(outcome):
  for result in (outcome.result, trial.DivergedTrial("loss is nan")):
    assert trial.read_result(json.loads(json.dumps(result.to_json()))) == result


def test_a_result_that_is_older_than_the_counts_is_read(outcome):
  saved = outcome.result.to_json()
  del saved["classes"]
  assert trial.read_result(saved) == dataclasses.replace(
    outcome.result, classes={}
  )


def test_a_run_ends_where_scores_no_longer_rise(inputs):
  """At this rate nothing is learned: each evaluation is as the first one."""
  config = dataclasses.replace(CONFIG, evaluations=6, patience=2)
  result = run_trial(inputs, config, learning_rate=1e-12, seed=0).result
  steps = [int(each["step"]) for each in result.curve]
  assert steps == [10 * (1 + i) for i in range(len(steps))]
  later = [step for step in steps if step > result.best_step]
  assert len(later) == 2 or steps[-1] == STEPS
  patient = dataclasses.replace(config, patience=0)
  whole = run_trial(inputs, patient, learning_rate=1e-12, seed=0).result
  assert len(whole.curve) == 6
  assert whole.curve[: len(steps)] == result.curve
