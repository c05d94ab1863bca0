# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The table says what stands in the folder, and a rerun trains nothing."""

import dataclasses
import json

import pytest

from benchmarks import public_tasks
from benchmarks.public_tasks import TABLE, TIMES, choose, run, table
from benchmarks.public_tasks_rows import (
  RECALL,
  ROWS,
  WITHOUT,
  Row,
  make_config,
)
from bertjax.finetune import experiment
from bertjax.finetune.scores import ClassCounts
from bertjax.finetune.trial import DivergedTrial, TrialResult
from bertjax.interop.onnx import processor
from tests.testing import small

SMALL = {
  "batch_size": 8,
  "evaluation_batch_size": 16,
  "steps": 4,
  "seq_length": 16,
  "learning_rates": (1e-3,),
}
FILES = {"task.train": "train.jsonl", "task.test": "test.jsonl"}
FISH = Row("Fish", "table", FILES, SMALL, {"accuracy": "accuracy"})
TREES = FISH._replace(title="Trees", split="dev", scores={"MCC": "matthews"})
LOST = FISH._replace(title="Lost", files={**FILES, "task.dev": "absent.jsonl"})
TINY = {"fish": FISH, "lost": LOST, "trees": TREES}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
  """A folder with a bundle, and the data of one row."""
  folder = tmp_path_factory.mktemp("place")
  small.make_bundle(folder / "bundle")
  for seed, (name, count) in enumerate((("train", 48), ("test", 24))):
    rows = small.make_texts(count, seed)
    # Texts of their own, so that enough are left for dev.
    rows = [
      (f"{text} {name[0]}{n}", label) for n, (text, label) in enumerate(rows)
    ]
    small.write_table(folder / f"{name}.jsonl", rows)
  return folder


@pytest.fixture(scope="module")
def output(place, small_programs):
  """The folder of one row that is done; another row has failed."""
  del small_programs
  bundles = {"bundle": str(place / "bundle")}
  with pytest.raises(ValueError, match="1 of 2 data sets failed"):
    run(TINY, ["lost", "fish"], place, bundles, place / "output", 2)
  return place / "output"


def cells(text):
  """Return the cells of the table, by the name of the data."""
  lines = [line for line in text.splitlines() if line.startswith("|")][2:]
  rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
  return {row[0]: row[1:] for row in rows}


def write_trial(folder, seed, result, rate=1e-3):
  path = folder / f"trials/rate{rate:g}-seed{seed}/result.json"
  path.parent.mkdir(parents=True)
  settings = {"learning_rate": rate, "seed": seed}
  saved = {"version": 1, "settings": settings, "result": result.to_json()}
  path.write_text(json.dumps(saved))


def trial(accuracy, predictions=(5, 5), right=(4, 4)):
  counts = ClassCounts((5, 5), predictions, right)
  return TrialResult(
    best_step=4,
    dev={"accuracy": 0.1, "loss": 1.0},
    test={"accuracy": accuracy, "loss": 1.0},
    train_loss=1.0,
    curve=({"step": 4, "accuracy": 0.1},),
    classes={"dev": counts, "test": counts},
  )


def test_a_row_that_is_done_has_its_scores_and_others_say_not_run(output):
  text = (output / TABLE).read_text()
  found = cells(text)
  assert list(found) == ["Fish", "Lost", "Trees"]
  score, mean, seeds, _, steps, rate, _ = found["Fish"]
  assert (score, seeds, steps, rate) == ("test accuracy", "2", "4", "0.001")
  results = json.loads((output / "fish/results.json").read_text())
  summary = results["test"]["accuracy"]
  assert mean == f"{100 * summary['mean']:.1f} ± {100 * summary['std']:.1f}"
  assert found["Lost"] == ["test accuracy", "not run", *["–"] * 5]
  assert found["Trees"] == ["dev MCC", "not run", *["–"] * 5]
  assert f"In float32 on {processor.describe()}." in text


def test_a_rerun_trains_nothing(place, output, monkeypatch):
  def train(*_, **__):
    raise AssertionError("trained again")

  monkeypatch.setattr(experiment, "run_trial", train)
  before = (output / TABLE).read_text()
  times = (output / "fish" / TIMES).read_text()
  assert len(times.splitlines()) == 2
  run(TINY, ["fish"], place, {"bundle": str(place / "bundle")}, output, 2)
  assert (output / TABLE).read_text() == before
  assert (output / "fish" / TIMES).read_text() == times


def test_the_table_of_an_interrupted_row_has_its_seeds(tmp_path):
  write_trial(tmp_path / "fish", 0, trial(0.5))
  write_trial(tmp_path / "fish", 1, trial(0.7, (10, 0)))
  write_trial(tmp_path / "fish", 2, DivergedTrial("loss is nan"))
  write_trial(tmp_path / "fish", 0, trial(0.1), rate=3e-3)  # was tried before
  line = {"trial": "rate0.001-seed0", "seconds": 61.2, "processor": "Abacus"}
  (tmp_path / "fish" / TIMES).write_text(json.dumps(line) + "\n")
  text = table(TINY, tmp_path)
  assert cells(text)["Fish"] == [
    *("test accuracy", "60.0 ± 14.1", "3", "1 / 1", "4", "0.001", "61")
  ]
  assert "Abacus" in text


def test_a_class_out_of_scope_is_scored_beside_the_others(tmp_path):
  write_trial(tmp_path / "fish", 0, trial(0.5, (6, 4), (5, 2)))
  (tmp_path / "fish/identity.json").write_text('{"labels": ["in", "oos"]}')
  scores = {
    "accuracy": "accuracy",
    "in scope": f"{WITHOUT}oos",
    "out-of-scope recall": f"{RECALL}oos",
  }
  rows = {"fish": FISH._replace(scores=scores)}
  assert cells(table(rows, tmp_path))["Fish"][:2] == [
    *("test accuracy / in scope / out-of-scope recall", "50.0 / 100.0 / 40.0")
  ]


def test_a_row_whose_seeds_all_diverged_has_no_mean(tmp_path):
  write_trial(tmp_path / "fish", 0, DivergedTrial("loss is nan"))
  assert cells(table(TINY, tmp_path))["Fish"][1:4] == ["–", "1", "0 / 1"]


def test_all_rows_run_whose_bundle_is_given(place):
  books = {"books": FISH._replace(start="books")}
  assert choose({**books, "fish": FISH}, [], place, None) == ["fish"]
  assert choose({**books, "fish": FISH}, [], place, "x") == ["books", "fish"]
  assert choose(TINY, ["trees", "fish"], place, None) == ["fish", "trees"]


@pytest.mark.parametrize(
  ("only", "words"),
  [
    (["colla"], "--only=colla; give some of fish,lost,trees,books"),
    (["books"], "--only=books needs --books_bundle=DIR"),
    (["lost"], "has no absent.jsonl, which lost reads"),
  ],
)
def test_a_wrong_flag_is_one_line(place, only, words):
  rows = {**TINY, "books": FISH._replace(start="books")}
  with pytest.raises(ValueError, match=words) as caught:
    choose(rows, only, place, None)
  assert "\n" not in str(caught.value)


def test_every_row_has_a_config_and_one_rate(tmp_path):
  for row in ROWS.values():
    config = make_config(row, tmp_path, 3)
    assert config.seeds == 3
    assert len(config.learning_rates) == 1
    fields = dataclasses.asdict(config)["task"]
    for field, path in row.files.items():
      assert fields[field.removeprefix("task.")] == str(tmp_path / path)


def test_every_data_set_has_a_row_for_each_start():
  names = [name for name, row in ROWS.items() if row.start == "bundle"]
  assert list(ROWS)[: len(names)] == names
  for start in ("books", "scratch"):
    found = {name for name, row in ROWS.items() if row.start == start}
    assert found == {f"{name}_{start}" for name in names}
  titles = [row.title for row in ROWS.values()]
  assert len(set(titles)) == len(titles)


def test_the_data_of_every_row_are_found(real_data):
  assert choose(ROWS, [], real_data, "books") == list(ROWS)


def test_the_flags_are_those_of_the_docstring():
  for flag in ("data", "bundle", "books_bundle", "output", "only"):
    assert f"--{flag}=" in str(public_tasks.__doc__)
