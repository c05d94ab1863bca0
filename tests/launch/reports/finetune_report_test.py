# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The page of a fine-tuning run shows spread, calibration and mistakes."""

import dataclasses

import numpy as np
import pytest

from bertjax.finetune.forgetting import Forgetting, score_forgetting
from bertjax.finetune.outcome import Candidate, ExperimentResult
from bertjax.finetune.results import ArmResult, score_classes
from bertjax.finetune.review import Review
from bertjax.finetune.trial import TrialResult
from bertjax.trials.statistics import summarize
from data_pipelines.tasks.figures import SplitFigures
from launch.reports import finetune_figures, finetune_report
from tests.testing import wrong_answers
from tests.testing.arm_results import make_found
from tests.testing.browser import measure_page
from tests.testing.html_page import HtmlPage

TASK, OUTPUTS, WINDOWS = wrong_answers.classes()
WINDOWS.arrays["tokens_NS"] = np.zeros((5, 7), np.int32)
LABELS = WINDOWS.labels


def run(seed, task=TASK, outputs=OUTPUTS, windows=WINDOWS):
  scores = task.scores(outputs, windows)
  return TrialResult(
    best_step=10,
    dev=scores,
    test=scores,
    train_loss=0.5 + seed,
    curve=({"step": 5, **scores}, {"step": 10, **scores}),
    classes={"test": task.count_classes(outputs, windows)}
    if task.count_classes
    else {},
  )


def make_result(task, outputs, windows):
  runs = [run(seed, task, outputs, windows) for seed in (0, 1)]
  summaries = {
    name: summarize([each.test[name] for each in runs]) for name in runs[0].test
  }
  metric = task.metrics[0]
  return ArmResult(
    init="bundle",
    task="cards",
    labels=tuple(windows.labels),
    examples={"train": 9, "dev": 5, "test": 5},
    steps=10,
    scores=ExperimentResult(
      learning_rate=1e-4,
      selection=(Candidate(1e-4, summaries[metric]),),
      metric=metric,
      seeds=(0, 1),
      best_steps=(10, 10),
      dev=summaries,
      test=summaries,
      diverged={"2": "nan"},
    ),
    classes=score_classes(task.class_names(windows.labels), runs, "test"),
    degenerate_seeds=(1,),
  )


@pytest.fixture
def result():
  return dataclasses.replace(
    make_result(TASK, OUTPUTS, WINDOWS), never_predicted=("late & lost",)
  )


def write(path, result, task=TASK, outputs=OUTPUTS, windows=WINDOWS, **fields):
  review = Review(
    runs={seed: run(seed, task, outputs, windows) for seed in (0, 1)},
    best=1,
    outputs=outputs,
    windows=windows,
    **fields,
  )
  finetune_report.write(
    path, result, review, task, "1 of 5 is cut at 7 tokens."
  )
  return HtmlPage(path)


def write_kind(kind, path, change=lambda result: result, **fields):
  task, outputs, windows = wrong_answers.KINDS[kind]()
  tokens_NS = np.zeros((len(windows.length_N), 7), np.int32)
  windows = dataclasses.replace(
    windows, arrays={**windows.arrays, "tokens_NS": tokens_NS}
  )
  result = change(make_result(task, outputs, windows))
  return write(path, result, task, outputs, windows, **fields)


def test_the_page_is_whole_and_needs_nothing_else(result, tmp_path):
  page = write(tmp_path / "report.html", result)
  assert all(link.startswith("#") for link in page.links)
  assert page.tags["svg"] == 4
  text = " ".join(page.text)
  assert "Never predicted: late & lost." in text
  assert "1 of 3 seeds diverged and are not in the scores: seed 2." in text
  assert "on dev, and the scores count them: seed 1." in text
  assert "1 of 5 is cut at 7 tokens." in text
  assert "0.6000 ± 0.0000" in text


def test_every_finding_is_on_the_page_before_the_scores(result, tmp_path):
  found = (make_found(), make_found("scored_classes", "fail"))
  result = dataclasses.replace(result, findings=found)
  page = write(tmp_path / "report.html", result)
  for each in found:
    assert page.text.index(each.sentence) < page.text.index("Seeds")


def test_a_class_that_never_occurs_has_no_f1(result, tmp_path):
  plain = write(tmp_path / "a.html", result).text
  assert not any("Without F1" in each for each in plain)
  last = result.classes[-1]
  never = dataclasses.replace(
    last, label="ghost", examples={"dev": 2, "test": 0}, predictions=(0, 0)
  )
  result = dataclasses.replace(result, classes=(*result.classes, never))
  text = write(tmp_path / "b.html", result).text
  at = max(place for place, each in enumerate(text) if each == "ghost")
  assert text[at + 1 : at + 6][-1] == "–"
  assert any("Macro F1 leaves them out." in each for each in text)


def test_dev_that_was_scored_once_has_a_sentence_instead_of_a_curve():
  runs = {seed: run(seed) for seed in (0, 1)}
  once = {seed: each.curve[-1:] for seed, each in runs.items()}
  assert finetune_figures.draw_curves(once, "accuracy") == ""
  longer = {**once, 1: runs[1].curve}
  assert finetune_figures.draw_curves(longer, "accuracy")


def test_the_surest_mistake_comes_first_with_its_text(result, tmp_path):
  page = write(tmp_path / "r.html", result)
  text = " ".join(" ".join(page.text).split())
  mistakes = text[text.index("The surest wrong answers") :]
  # What readers give is escaped, and long texts are cut.
  assert mistakes.index(wrong_answers.MARKUP) < mistakes.index("a very long")
  assert page.tags["script"] == 0
  assert len(mistakes) < 2000


@pytest.mark.parametrize(
  ("kind", "figures", "words"),
  [
    ("classes", 4, "What is taken for what"),
    ("several_labels", 3, "calibration error"),
    ("scores", 4, "of 3 texts by the best seed"),
    ("choices", 3, "• a stone"),
    ("tags", 4, "York Road (LOC)"),
    ("questions", 3, "Elms grow here"),
  ],
)
def test_each_kind_has_its_mistakes(kind, figures, words, tmp_path):
  page = write_kind(kind, tmp_path / "report.html")
  assert page.tags["svg"] == figures
  assert page.tags["mark"] > 0
  assert words in " ".join(" ".join(page.text).split())


@pytest.mark.parametrize(
  "kind", ["classes", "several_labels", "choices", "tags", "questions"]
)
def test_calibration_is_shown_without_the_temperature_and_with_it(
  kind, tmp_path
):
  plain = write_kind(kind, tmp_path / "plain.html")
  scaled = write_kind(kind, tmp_path / "scaled.html", temperature=2.5)
  task, outputs, windows = wrong_answers.KINDS[kind]()
  answered = task.answered(outputs, windows)
  assert answered is not None
  errors = [answered.reliability(each).error for each in (1.0, 2.5)]
  assert abs(errors[0] - errors[1]) > 0.001
  before, after = (f"{error:.3f}" for error in errors)
  for page in (plain, scaled):
    assert f"as they are: error {before}" in page.text
  assert f"with logits divided by 2.5: error {after}" in scaled.text
  assert "fitted on dev" in scaled.source
  assert "divided by" not in plain.source


def test_equal_results_make_equal_bytes(result, tmp_path):
  first, again = (
    write(tmp_path / name, result).source for name in ("a.html", "b.html")
  )
  assert first == again


def test_many_classes_are_a_table_of_mistakes(result, tmp_path):
  labels = tuple(f"class {number}" for number in range(40))
  many = dataclasses.replace(result, labels=labels, classes=())
  wide = {"logits_NC": np.pad(OUTPUTS["logits_NC"], ((0, 0), (0, 37)))}
  windows = dataclasses.replace(WINDOWS, labels=labels)
  page = write(tmp_path / "report.html", many, TASK, wide, windows)
  assert page.tags["svg"] == 3
  assert "What is taken for what" in " ".join(page.text)


def test_a_task_that_declares_nothing_has_curves_and_lengths(result, tmp_path):
  task = dataclasses.replace(TASK, class_logits=None, analyze=None)
  page = write(tmp_path / "report.html", result, task)
  assert page.tags["svg"] == 2


def forgetful(result):
  runs = [
    Forgetting(2.0, 3.0 + seed, (0.99, 0.5 + seed / 4)) for seed in (0, 1)
  ]
  return dataclasses.replace(result, forgetting=score_forgetting(runs))


def test_what_is_forgotten_is_shown_where_it_was_measured(result, tmp_path):
  assert "forgotten" not in write(tmp_path / "a.html", result).source
  page = write(tmp_path / "report.html", forgetful(result))
  assert page.tags["svg"] == 5
  text = " ".join(page.text)
  assert "2.0000 nats before fine-tuning, 3.5000 ± 0.7071 after it." in text
  assert "0.6250 ± 0.1768" in text


def test_a_reader_that_keeps_no_texts_has_mistakes_without(result, tmp_path):
  windows = dataclasses.replace(WINDOWS, examples=())
  page = write(tmp_path / "report.html", result, windows=windows)
  assert "The surest wrong answers" in " ".join(page.text)


@pytest.mark.full
@pytest.mark.parametrize("kind", wrong_answers.KINDS)
@pytest.mark.parametrize("width", [360, 1400])
def test_a_browser_shows_the_page_without_errors(kind, tmp_path, width):
  write_kind(kind, tmp_path / "report.html", forgetful, temperature=2.5)
  needed, said = measure_page(tmp_path / "report.html", width, tmp_path)
  assert not said
  assert needed <= width


def test_questions_that_are_cut_are_told_apart_from_texts():
  texts = SplitFigures(20, 3, 0, 0, 0, 90, 0, 80, ())
  assert finetune_report.tell_cut(texts, 16, 4) == (
    "3 of 20 are cut at 16 tokens."
  )
  questions = dataclasses.replace(texts, cut=0, cut_questions=2, windows=31)
  assert finetune_report.tell_cut(questions, 16, 4) == (
    "2 of 20 questions are cut at 4 tokens; contexts are read in 31 windows of "
    "at most 16 tokens."
  )
