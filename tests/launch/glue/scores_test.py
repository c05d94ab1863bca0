# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses

from bertjax.finetune.outcome import ExperimentResult
from bertjax.finetune.results import ArmResult
from bertjax.trials.statistics import summarize
from launch.glue import scores
from tests.testing.arm_results import make_found


def make_arm(dev, test=None):
  return ArmResult(
    init="bundle",
    task="x",
    labels=("0", "1"),
    examples={},
    steps=1,
    scores=ExperimentResult(
      learning_rate=1e-4,
      selection=(),
      metric="accuracy",
      seeds=(0, 1),
      best_steps=(1, 1),
      dev={name: summarize(values) for name, values in dev.items()},
      test={name: summarize(v) for name, v in (test or {}).items()},
    ),
  )


def cells(page, task):
  (row,) = [line for line in page.split("\n") if line.startswith(f"| {task} ")]
  return [cell.strip() for cell in row.strip("|").split("|")]


def test_our_scores_stand_beside_those_of_the_server():
  page = scores.page(
    {
      "mrpc": make_arm({"f1": [0.8, 0.9], "accuracy": [0.7, 0.7]}),
      "mnli": make_arm({"accuracy": [0.6, 0.6]}, {"accuracy": [0.5, 0.6]}),
      "rte": dataclasses.replace(
        make_arm({"accuracy": [0.625]}), findings=(make_found(),)
      ),
    },
    {"cola": "no files in x"},
  )
  assert cells(page, "MRPC")[1:4] == [
    "F1/accuracy",
    "85.0 ± 7.1 / 70.0 ± 0.0",
    "2",
  ]
  assert cells(page, "MNLI-m")[2] == "60.0 ± 0.0"
  assert cells(page, "MNLI-mm")[2] == "55.0 ± 7.1"
  assert cells(page, "RTE")[2] == "62.5"
  assert cells(page, "CoLA")[2:4] == ["–", "–"]
  # Devlin et al., 2018, table 1.
  assert cells(page, "CoLA")[-2:] == ["52.1", "60.5"]
  assert "GLUE server on the test split" in page
  assert "CoLA: no files in x." in page
  assert f"Warning of RTE: {make_found().line}." in page


def test_tasks_of_one_reason_share_a_line():
  missing = {"cola": "no files", "sst2": "is bad", "rte": "no files"}
  assert scores.by_reason(missing) == ["CoLA, RTE: no files", "SST-2: is bad"]
