# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses
import json

import numpy as np
import pytest

from bertjax.checkpoints.bundle import load_bundle, read_bundle_info
from bertjax.config import (
  FinetuneConfig,
  FinetuneOptimizerConfig,
  TaskConfig,
)
from bertjax.finetune import experiment
from bertjax.finetune.results import ArmResult
from launch import finetune, predict, tasks
from launch.preflight.findings import Finding
from launch.preflight.policy import Policy
from launch.run import ownership
from tests.testing import small
from tests.testing.commands import run_command
from tests.testing.html_page import HtmlPage

pytestmark = pytest.mark.usefixtures("small_programs")

CONFIG = FinetuneConfig(
  steps=40,
  batch_size=8,
  evaluation_batch_size=16,
  evaluations=2,
  seq_length=12,
  learning_rates=(1e-5, 1e-2),
  seeds=3,
  optimizer=FinetuneOptimizerConfig(name="adamw_corrected"),
)


# What is compiled once for all runs that train nothing.
ONE_STEP = {"steps": 1, "warmup_rate": 0.0}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
  """A folder with a bundle and a table for each split."""
  folder = tmp_path_factory.mktemp("place")
  small.make_bundle(folder / "bundle", findings=["Its texts are few."])
  for seed, (name, count) in enumerate(
    (("train", 32), ("dev", 16), ("test", 24))
  ):
    rows = small.make_texts(count, seed)
    small.write_table(folder / f"{name}.jsonl", rows)
  return folder


def config_of(folder, **changes):
  task = TaskConfig(
    kind="table",
    train=str(folder / "train.jsonl"),
    dev=str(folder / "dev.jsonl"),
    test=str(folder / "test.jsonl"),
  )
  return dataclasses.replace(CONFIG, **{"task": task, **changes})


@pytest.fixture(scope="module")
def results(place):
  """Results of a run whose device has hardly enough memory."""
  tight = Finding("device_memory", "warn", "it is tight", "buy more", 0.9, 0.8)
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(finetune, "judge_trials", lambda *_: [tight])
    return finetune.run(
      config_of(place), str(place / "bundle"), str(place / "work")
    )


def test_results_are_the_statistics_of_the_trials(place, results):
  work = place / "work"
  saved = json.loads((work / "results.json").read_text())
  assert saved == results.to_json()
  assert ArmResult.from_json(saved) == results
  assert results.scores.learning_rate == 1e-2
  assert results.examples == {"train": 32, "dev": 16, "test": 24}
  trials = [
    json.loads((work / f"trials/rate0.01-seed{s}/result.json").read_text())
    for s in range(3)
  ]
  values_N = [trial["result"]["test"]["accuracy"] for trial in trials]
  test = results.scores.test["accuracy"]
  assert list(test.values) == values_N
  assert np.isclose(test.mean, np.mean(values_N))
  assert np.isclose(test.std, np.std(values_N, ddof=1))
  assert test.mean > 0.9
  assert "| bundle |" in (work / "results.md").read_text()


def test_a_rerun_runs_nothing_and_says_the_same(place, results, monkeypatch):
  monkeypatch.setattr(experiment, "run_trial", None)
  again = finetune.run(
    config_of(place), str(place / "bundle"), str(place / "work")
  )
  assert again == results


def test_an_interrupted_run_ends_as_an_uninterrupted_one(place, results):
  del results
  work = place / "work"
  before = (work / "results.json").read_bytes()
  (work / "trials/rate0.01-seed2/result.json").unlink()
  finetune.run(config_of(place), str(place / "bundle"), str(work))
  assert (work / "results.json").read_bytes() == before


def test_the_saved_model_is_the_best_run(place, results):
  work = place / "work"
  details = read_bundle_info(work / "model").details
  seed = details.trial["seed"]
  rows = small.make_texts(24, 2)
  guesses = predict.answer(
    str(work / "model"), [text for text, _ in rows], top_k=1
  )
  right = [
    each[0][0] == label for each, (_, label) in zip(guesses, rows, strict=True)
  ]
  assert np.mean(right) == results.scores.test["accuracy"].values[seed]
  dev = results.scores.dev["accuracy"].values
  assert dev[seed] == max(dev)


def test_from_scratch_is_another_start_of_the_same_run(place, results, capsys):
  config = dataclasses.replace(config_of(place), metric="macro_f1")
  scratch = finetune.run(
    config, str(place / "bundle"), str(place / "scratch"), "scratch"
  )
  # The score that chooses is named for each trial, and is in the table.
  score = scratch.scores.dev["macro_f1"].values[0]
  said = capsys.readouterr().out
  assert f"rate 0.01, seed 0: dev macro_f1 {score:.4f}, test macro_f1 " in said
  assert " dev macro F1 |" in said
  assert f"model: {place}/scratch/model\n" in said
  assert scratch.init == "scratch"
  for name in ("task", "labels", "examples", "steps"):
    assert vars(scratch)[name] == vars(results)[name]
  assert scratch.scores.seeds == results.scores.seeds
  assert scratch.scores.test != results.scores.test


def test_without_test_labels_dev_alone_is_scored(place, tmp_path):
  (tmp_path / "test.csv").write_text("text,label\nthe cod,-1\nthe oak,-1\n")
  task = dataclasses.replace(
    config_of(place).task, test=str(tmp_path / "test.csv")
  )
  config = config_of(
    place, task=task, **ONE_STEP, seeds=1, learning_rates=(1e-3,)
  )
  work = tmp_path / "work"
  result = finetune.run(config, str(place / "bundle"), str(work))
  assert result.examples == {"train": 32, "dev": 16}
  assert result.scores.test == {}
  assert 0 <= result.scores.dev["accuracy"].mean <= 1
  saved = json.loads((work / "results.json").read_text())
  assert ArmResult.from_json(saved) == result
  assert "–" in (work / "results.md").read_text()


def test_each_class_is_scored_and_an_absent_one_is_told(
  place, tmp_path, caplog
):
  # Without a step in the right direction one class is predicted everywhere.
  config = config_of(place, **ONE_STEP, seeds=2, learning_rates=(1e-9,))
  work = tmp_path / "work"
  result = finetune.run(config, str(place / "bundle"), str(work))
  saved = json.loads((work / "results.json").read_text())
  assert [each["label"] for each in saved["classes"]] == ["fish", "tree"]
  for each in result.classes:
    assert each.examples == {"dev": 8, "test": 12}
    assert f"| {each.label} " in (work / "results.md").read_text()
  for label in result.never_predicted:
    assert f"no seed ever predicts {label} on test" in caplog.text
  said = [each.message for each in caplog.records if "; fix: " in each.message]
  assert [each.line for each in result.findings] == said
  assert {each.name for each in result.findings} >= {"degenerate_seeds"}
  page = (work / "results.md").read_text()
  html = " ".join(HtmlPage(work / "report.html").text)
  kept = read_bundle_info(work / "model").details.findings or ()
  assert "Of the training before: Its texts are few." in kept
  for each in result.findings:
    assert f"Warning: {each.sentence}" in page
    assert each.sentence in html
    assert each.sentence in kept


def test_a_rate_that_diverges_at_once_is_passed_over(place, tmp_path):
  config = config_of(place, **ONE_STEP, seeds=1, learning_rates=(1e-3, 1e38))
  work = tmp_path / "work"
  result = finetune.run(config, str(place / "bundle"), str(work))
  assert result.scores.learning_rate == 1e-3
  assert result.scores.diverged_rates == {"1e+38": 1}
  for path in work.rglob("*.json"):
    json.loads(path.read_text(), parse_constant=pytest.fail)


def test_a_check_that_fails_ends_the_run_before_anything_compiles(
  place, tmp_path, monkeypatch
):
  monkeypatch.setattr("bertjax.finetune.arm.make_programs", None)
  path = small.write_scores(tmp_path / "scores.csv")
  config = config_of(place, task=TaskConfig(kind="table", train=path))
  work = tmp_path / "work"
  with pytest.raises(ValueError, match=r"this is regression") as caught:
    finetune.run(config, str(place / "bundle"), str(work))
  assert "--allow=numeric_labels" in str(caught.value)
  assert "\n" not in str(caught.value)
  assert not work.exists()


def test_a_failure_that_is_allowed_is_told_and_stored(place, tmp_path, caplog):
  path = small.write_scores(tmp_path / "scores.csv")
  config = config_of(
    place,
    task=TaskConfig(kind="table", train=path),
    seq_length=5,
    steps=2,
    seeds=1,
    learning_rates=(1e-3,),
  )
  work = tmp_path / "work"
  result = finetune.run(
    config,
    str(place / "bundle"),
    str(work),
    policy=Policy(allow=frozenset(["numeric_labels"])),
  )
  assert result.labels == ("0.250", "3.333", "4.800", "5.000")
  assert "--allow=numeric_labels lets it pass" in caplog.text
  stored = {
    each["name"]: each["allowed"]
    for each in json.loads((work / "report.allowed.json").read_text())
  }
  assert stored["numeric_labels"]
  assert stored["class_examples"] is False


def test_tokens_a_word_are_compared_with_the_encoders_corpus(
  place, tmp_path, monkeypatch
):
  info = read_bundle_info(place / "bundle")
  # As if its corpus had nothing but words of one token.
  details = dataclasses.replace(info.details, tokens_per_word=0.8)
  monkeypatch.setattr(
    "launch.finetune.bundles.read_pretrained",
    lambda path: dataclasses.replace(info, details=details),
  )
  with pytest.raises(ValueError, match=r"one of the encoder's corpus 0\.80"):
    finetune.run(
      config_of(place),
      str(place / "bundle"),
      str(tmp_path / "work"),
      policy=Policy(strict=frozenset(["task_fertility"])),
    )


def test_texts_that_are_cut_are_told(place, tmp_path):
  with pytest.raises(
    ValueError, match=r"texts are longer than 5 .*, 24 of 24 in test"
  ):
    finetune.run(
      config_of(place, seq_length=5),
      str(place / "bundle"),
      str(tmp_path / "work"),
      policy=Policy(strict=frozenset(["cut_texts"])),
    )


@pytest.mark.parametrize("types", [0, 1])
def test_pairs_are_read_for_encoders_without_types(place, types):
  """RoBERTa, DistilBERT and ModernBERT have the separator alone."""
  table = place / "pairs.jsonl"
  lines = (place / "train.jsonl").read_text().splitlines()
  rows = [{**json.loads(line), "b": "it"} for line in lines]
  table.write_text("\n".join(map(json.dumps, rows)))
  task = TaskConfig(kind="table", train=str(table), text_pair="b")
  info = read_bundle_info(place / "bundle")
  few = dataclasses.replace(info.model, type_vocab_size=types)
  data, _ = tasks.load_data(
    config_of(place, task=task), few, info.tokenizer_path
  )
  assert data.pair


@pytest.mark.parametrize(
  ("changes", "words"),
  [
    ({"batch_size": 4}, "batch_size=8, not 4"),
    ({"seq_length": 10}, "seq_length=12, not 10"),
    (
      {"optimizer": FinetuneOptimizerConfig()},
      "optimizer.name='adamw_corrected'",
    ),
  ],
)
def test_another_run_in_the_same_folder_is_refused(
  place, results, changes, words
):
  del results
  with pytest.raises(ValueError, match=words):
    finetune.run(
      config_of(place, **changes), str(place / "bundle"), str(place / "work")
    )


def test_a_folder_that_another_run_works_in_is_refused(place, monkeypatch):
  monkeypatch.setattr(ownership, "_LOCK_SECONDS", 0.0)
  with (
    ownership.locked(place / "held"),
    pytest.raises(ValueError, match="held is in use by another run"),
  ):
    finetune.run(config_of(place), str(place / "bundle"), str(place / "held"))


def test_other_data_in_the_same_folder_is_refused(place, results, tmp_path):
  del results
  rows = small.make_texts(32, 9)
  task = dataclasses.replace(
    config_of(place).task,
    train=small.write_table(tmp_path / "train.jsonl", rows),
  )
  with pytest.raises(ValueError, match=r"examples.train="):
    finetune.run(
      config_of(place, task=task), str(place / "bundle"), str(place / "work")
    )


@pytest.mark.parametrize(
  ("changes", "words"),
  [
    ({"seq_length": 17}, "seq_length=17 is beyond the 16 positions"),
    ({"optimizer": FinetuneOptimizerConfig(accumulation=3)}, "accumulation=3"),
    (
      {"task": dataclasses.replace(TaskConfig(), kind="poem")},
      "task.kind='poem'; give one of",
    ),
  ],
)
def test_a_config_that_cannot_be_is_one_line(place, tmp_path, changes, words):
  config = dataclasses.replace(config_of(place), **changes)
  with pytest.raises(ValueError, match=words) as caught:
    finetune.run(config, str(place / "bundle"), str(tmp_path / "work"))
  assert "\n" not in str(caught.value)
  assert not (tmp_path / "work").exists()


def test_a_classifier_is_no_start(place, results, tmp_path):
  del results
  with pytest.raises(
    ValueError, match=rf"is fine-tuned for {place.name}; give"
  ):
    load_bundle(place / "work/model")
  with pytest.raises(
    ValueError, match=rf"is fine-tuned for {place.name}; give"
  ):
    finetune.run(
      config_of(place), str(place / "work/model"), str(tmp_path / "work")
    )


@pytest.mark.parametrize(
  ("arguments", "words"),
  [
    (["--config.task.label=topic"], "no column 'topic'; it has text, label"),
    (["--bundle=nowhere"], "nowhere is not a bundle"),
    (["--init=random"], "init"),
    (
      ["--config.optimizer.warmup_steps=9"],
      "no such field; give --config.warmup_rate",
    ),
    (
      ["--config=configs/finetune.py:task=poem"],
      "error: config overlay 'task=poem' is not known; task= takes one of",
    ),
  ],
)
def test_a_mistake_on_the_command_line_is_one_line(
  place, tmp_path, arguments, words
):
  done = run_command(
    "launch.finetune",
    "--config=configs/finetune.py:task=table",
    f"--config.task.train={place}/train.jsonl",
    "--config.seq_length=16",
    f"--bundle={place}/bundle",
    f"--workdir={tmp_path}/work",
    *arguments,
  )
  assert done.returncode == 1
  lines = [line for line in done.stderr.splitlines() if line]
  assert len(lines) == 1, done.stderr
  assert lines[0].startswith("error: ")
  assert words in lines[0]
  assert not (tmp_path / "work").exists()
