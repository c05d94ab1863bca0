# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The page of a fine-tuning run shows spread, calibration and mistakes."""

import dataclasses

import numpy as np
import pytest

from bertjax.finetune.classification import TASK
from bertjax.finetune.forgetting import Forgetting, score_forgetting
from bertjax.finetune.outcome import Candidate, ExperimentResult
from bertjax.finetune.results import ArmResult, score_classes
from bertjax.finetune.review import Review
from bertjax.finetune.trial import TrialResult
from bertjax.finetune.windows import Windows
from bertjax.trials.statistics import summarize
from launch.reports import finetune_report
from tests.testing.browser import measure_page
from tests.testing.html_page import HtmlPage

LABELS = ("lost <card>", "late & lost", "pin")
TOKENS = ("[PAD]", "[CLS]", "[SEP]", "where", "is", "my", "card", "##s")
# Five texts: the second and the fifth get wrong answers, the fifth surely.
LABEL_N = np.asarray([0, 1, 2, 0, 1])
LOGITS_NC = np.asarray(
  [[4.0, 0, 0], [0.5, 0, 0], [0, 0, 3.0], [2.0, 0, 0], [0, 0, 9.0]]
)


def run(seed):
  assert TASK.count_classes
  outputs = {"logits_NC": LOGITS_NC}
  windows = make_windows()
  scores = TASK.scores(outputs, windows)
  return TrialResult(
    best_step=10,
    dev=scores,
    test=scores,
    train_loss=0.5 + seed,
    curve=({"step": 5, **scores}, {"step": 10, **scores}),
    classes={"test": TASK.count_classes(outputs, windows)},
  )


def make_windows():
  tokens_NS = np.asarray([[1, 3, 4, 5, 6, 7, 2]] * 5)
  return Windows(
    {"label_N": LABEL_N, "tokens_NS": tokens_NS}, np.full(5, 7), np.arange(5)
  )


@pytest.fixture
def result():
  runs = [run(seed) for seed in (0, 1)]
  summaries = {
    name: summarize([each.test[name] for each in runs]) for name in runs[0].test
  }
  return ArmResult(
    init="bundle",
    task="cards",
    labels=LABELS,
    examples={"train": 9, "dev": 5, "test": 5},
    steps=10,
    scores=ExperimentResult(
      learning_rate=1e-4,
      selection=(Candidate(1e-4, summaries["accuracy"]),),
      metric="accuracy",
      seeds=(0, 1),
      best_steps=(10, 10),
      dev=summaries,
      test=summaries,
      diverged={"2": "nan"},
    ),
    classes=score_classes(LABELS, runs, "test"),
    never_predicted=("late & lost",),
    degenerate_seeds=(1,),
  )


def write(path, result, outputs=None):
  review = Review(
    runs={0: run(0), 1: run(1)},
    best=1,
    outputs={"logits_NC": LOGITS_NC} if outputs is None else outputs,
    windows=make_windows(),
  )
  finetune_report.write(
    path, result, review, TASK, TOKENS, "1 of 5 is cut at 7 tokens."
  )
  return HtmlPage(path)


def test_the_page_is_whole_and_needs_nothing_else(result, tmp_path):
  page = write(tmp_path / "report.html", result)
  assert all(link.startswith("#") for link in page.links)
  assert page.tags["svg"] == 4
  text = " ".join(page.text)
  assert "Never predicted: late & lost." in text
  assert "Seeds that diverged and are not in the scores: 2." in text
  assert "nothing, on dev, and are in the scores: 1." in text
  assert "1 of 5 is cut at 7 tokens." in text
  assert "0.6000 ± 0.0000" in text


def test_the_surest_mistake_comes_first_with_its_text(result, tmp_path):
  text = " ".join(" ".join(write(tmp_path / "r.html", result).text).split())
  mistakes = text[text.index("The surest wrong answers") :]
  assert mistakes.index("pin") < mistakes.index("lost <card>")
  assert "where is my cards" in mistakes


def test_equal_results_make_equal_bytes(result, tmp_path):
  first, again = (
    write(tmp_path / name, result).source for name in ("a.html", "b.html")
  )
  assert first == again


def test_many_classes_are_a_table_of_mistakes(result, tmp_path):
  labels = tuple(f"class {number}" for number in range(40))
  many = dataclasses.replace(result, labels=labels, classes=())
  wide = {"logits_NC": np.pad(LOGITS_NC, ((0, 0), (0, 37)))}
  page = write(tmp_path / "report.html", many, wide)
  assert page.tags["svg"] == 3
  assert "What is taken for what" in " ".join(page.text)


def test_outputs_that_are_no_classes_have_curves_and_lengths(result, tmp_path):
  page = write(tmp_path / "report.html", result, {"scores_N": LABEL_N})
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


@pytest.mark.full
@pytest.mark.parametrize("width", [360, 1400])
def test_a_browser_shows_the_page_without_errors(result, tmp_path, width):
  write(tmp_path / "report.html", forgetful(result))
  needed, said = measure_page(tmp_path / "report.html", width, tmp_path)
  assert not said
  assert needed <= width
