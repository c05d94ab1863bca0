# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses
import math

import pytest

from bertjax.finetune.outcome import ExperimentResult
from bertjax.finetune.results import ArmResult
from bertjax.trials.statistics import summarize
from data_pipelines.tasks.figures import (
  SplitFigures,
  TableFigures,
  TaskFigures,
)
from launch.preflight.policy import DEFAULT
from launch.preflight.task import (
  describe,
  judge_quantized,
  judge_results,
  judge_task,
)

SPLIT = SplitFigures(
  examples=100,
  cut=0,
  empty=0,
  shared=0,
  contradicting=0,
  tokens=1300,
  unknown=0,
  words=1000,
  by_class=(50, 50),
)
SOUND = TaskFigures(
  labels=("ham", "spam"),
  alike_labels=(),
  numeric_labels=0,
  table=TableFigures(rows=300),
  splits={"train": SPLIT, "dev": SPLIT, "test": SPLIT},
)


def not_passed(findings):
  return [each for each in findings if each.level != "pass"]


def judged(figures, corpus: float | None = 1.2):
  return not_passed(judge_task(figures, 128, corpus, DEFAULT))


def with_split(name, **changes):
  split = dataclasses.replace(SPLIT, **changes)
  return {"splits": {**SOUND.splits, name: split}}


@pytest.mark.parametrize(
  ("changes", "name", "level", "words"),
  [
    (
      {"table": TableFigures(300, ("a.csv:7 has no text",))},
      "skipped_rows",
      "warn",
      "1 of 300 rows are left out: a.csv:7 has no text",
    ),
    (
      {"table": TableFigures(300, ("a.csv:7 has no text",) * 99)},
      "skipped_rows",
      "fail",
      "99 of 300",
    ),
    (
      {"table": TableFigures(300, (), 40)},
      "stripped_labels",
      "warn",
      "40 labels",
    ),
    (
      {"table": TableFigures(300, (), 0, "test.tsv has no labels")},
      "unscored_test",
      "warn",
      "test.tsv has no labels, so that all scores are those of dev",
    ),
    ({"numeric_labels": 7}, "numeric_labels", "fail", "this is regression"),
    (
      {"alike_labels": (("Spam", "spam"),)},
      "alike_labels",
      "fail",
      "Spam/spam",
    ),
    (with_split("test", shared=7), "shared_texts", "warn", "7 of the 100"),
    (
      with_split("train", contradicting=2),
      "contradicting_texts",
      "warn",
      "2 of 100 training texts",
    ),
    (with_split("train", empty=1), "empty_texts", "warn", "1 texts have no"),
    (
      with_split("dev", by_class=(0, 100)),
      "scored_classes",
      "fail",
      "all examples of dev have one label",
    ),
    (
      with_split("test", by_class=(0, 100)),
      "scored_classes",
      "warn",
      "all examples of test have one label",
    ),
    (
      with_split("test", by_class=(0, 100)),
      "unscored_classes",
      "warn",
      "test has no example of ham",
    ),
    (
      with_split("dev", by_class=(98, 2)),
      "class_examples",
      "warn",
      "class spam has few examples (train 50 of 100, dev 2 of 100, test 50",
    ),
    (
      with_split("dev", cut=50),
      "cut_texts",
      "warn",
      "texts are longer than 128 tokens and lose their end: "
      "0 of 100 in train, 50 of 100 in dev, 0 of 100 in test",
    ),
    (with_split("dev", unknown=100), "task_unknown_tokens", "warn", "2.56%"),
    (with_split("dev", unknown=1300), "task_unknown_tokens", "fail", "33.3"),
  ],
)
def test_only_what_is_beyond_a_limit_is_found(changes, name, level, words):
  found = judged(dataclasses.replace(SOUND, **changes))
  assert found
  (finding,) = (each for each in found if each.name == name)
  assert finding.level == level
  assert words in finding.text
  assert {each.name for each in found} <= {name, *RELATED.get(name, ())}


# What a change of this kind also brings.
RELATED = {
  "scored_classes": ("unscored_classes",),
  "unscored_classes": ("scored_classes",),
}


def test_each_split_is_described():
  split = dataclasses.replace(SPLIT, cut=3, by_class=(1, 99))
  figures = dataclasses.replace(SOUND, splits={"dev": split})
  assert list(describe(figures, 64)) == [
    "dev: 100 examples of 2 classes (1 to 99 each), 3 cut at 64 tokens"
  ]


def test_what_is_to_know_of_splits_is_described():
  table = TableFigures(300, notes=("test is another dev split",))
  lines = list(describe(dataclasses.replace(SOUND, table=table), 64))
  assert len(lines) == 4
  assert lines[-1] == "test is another dev split"


def test_the_fix_of_a_missing_test_split_is_that_of_its_reader():
  for fix, words in (("ask the server", "ask"), ("", "--config.task.test,")):
    table = TableFigures(300, unscored_test="no labels", unscored_fix=fix)
    (finding,) = judged(dataclasses.replace(SOUND, table=table))
    assert words in finding.fix


def test_sound_data_pass():
  assert judged(SOUND) == []


@pytest.mark.parametrize(
  ("corpus", "names"),
  [(1.3, []), (0.98, []), (0.97, ["task_fertility"]), (None, [])],
)
def test_a_third_more_tokens_a_word_than_in_the_corpus_warns(corpus, names):
  found = judged(SOUND, corpus)
  assert [each.name for each in found] == names
  assert all("--extend_vocab" in each.fix for each in found)


def test_tokens_a_word_are_judged_alone_where_no_corpus_is_known():
  many = {n: dataclasses.replace(SPLIT, words=500) for n in SOUND.splits}
  (finding,) = judged(dataclasses.replace(SOUND, splits=many), None)
  assert finding.name == "fertility"
  assert "2.60 tokens" in finding.text


def test_results_are_judged():
  one = summarize([0.5])
  scores = ExperimentResult(
    learning_rate=1e-3,
    selection=(),
    metric="accuracy",
    seeds=(0, 2),
    best_steps=(1, 1),
    dev={"accuracy": one},
    test={},
    diverged={"1": "loss is nan"},
  )
  result = ArmResult("bundle", "t", ("a", "b"), {"dev": 9}, 1, scores, "dev")
  (finding,) = not_passed(judge_results(result, DEFAULT))
  assert finding.name == "diverged_seeds"
  assert "1 of 3 seeds diverged (seed 1)" in finding.text
  scores = dataclasses.replace(scores, diverged={})
  never = dataclasses.replace(result, scores=scores, never_predicted=("b",))
  (finding,) = not_passed(judge_results(never, DEFAULT))
  assert (finding.name, finding.level) == ("never_predicted", "warn")
  assert "no seed ever predicts b on dev" in finding.text
  alike = dataclasses.replace(result, scores=scores, degenerate_seeds=(2,))
  (finding,) = not_passed(judge_results(alike, DEFAULT))
  assert (finding.name, finding.level) == ("degenerate_seeds", "warn")
  assert "1 of 2 seeds predict only one class, score" in finding.text
  assert "on dev (seed 2), and the scores count them" in finding.text


def test_labels_that_are_numbers_name_the_first_row():
  table = dataclasses.replace(SOUND.table, first_label="a.csv:2 has '3.5'")
  figures = dataclasses.replace(SOUND, numeric_labels=7, table=table)
  (finding,) = judged(figures)
  assert "a.csv:2 has '3.5'" in finding.text


@pytest.mark.parametrize(
  ("narrow", "level"),
  [(0.9, "pass"), (0.896, "pass"), (0.894, "warn"), (math.nan, "warn")],
)
def test_a_score_that_falls_with_integers_warns(narrow, level):
  found = judge_quantized("f1", (0.9, narrow), 1200, "use model.onnx", DEFAULT)
  assert found.level == level
  assert f"f1 falls from 0.9000 to {narrow:.4f} with integers" in str(found)
  assert "on 1,200 texts (" in str(found)
  assert "limit 0.5%" in str(found)
