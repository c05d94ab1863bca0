# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A model has the scores that its training stored."""

import dataclasses
import json
from typing import Any

import jax
import pytest

from bertjax.checkpoints.bundle import read_bundle_info
from bertjax.config import MeshConfig, TaskConfig, to_mapping
from bertjax.parallel.mesh import make_mesh
from launch import evaluate, tasks
from launch.inference import stored_task
from launch.preflight.policy import Policy
from tests.testing import small
from tests.testing.finetuned import make_config, write_table

pytestmark = pytest.mark.usefixtures("small_programs")


@pytest.fixture
def config(finetuned_place):
  return make_config(finetuned_place)


@pytest.fixture
def model(finetuned_place):
  return str(finetuned_place / "work/model")


def test_scores_are_those_that_training_stored(model):
  stored = read_bundle_info(model).details.evaluation
  for split in ("dev", "test"):
    found = evaluate.evaluate(model, split=split)
    assert found.examples == 24
    for name, summary in stored[split].items():
      assert [found.scores[name]] == summary["values"], (split, name)
  assert found.confusion.sum() == 24
  assert found.confusion.trace() == sum(found.classes.right)


def test_calibration_is_that_of_training(model, finetuned_place):
  place = finetuned_place
  results = json.loads((place / "work/results.json").read_text())["calibration"]
  for split in ("dev", "test"):
    found = evaluate.evaluate(model, split=split)
    saved = found.to_json()["calibration"]
    (temperature,) = results["temperature"]["values"]
    assert [saved["error"]] == results["before"][split]["values"]
    assert [saved["error_with_temperature"]] == (
      results["after"][split]["values"]
    )
    assert saved["temperature"] == temperature
    assert (
      f"Expected calibration error: {saved['error']:.4f} as probabilities are, "
      f"{saved['error_with_temperature']:.4f} with all logits divided by "
      f"{temperature:.4g}"
    ) in evaluate.show(found)
  report = (place / "work/report.html").read_text()
  assert f"with logits divided by {temperature:.3g}: error" in report


def test_a_file_of_other_scores_is_kept(model, tmp_path):
  path = tmp_path / "scores.json"
  asked: dict[str, Any] = {"split": "dev", "output": str(path)}
  found = evaluate.evaluate(model, **asked)
  path.write_text(json.dumps(found.to_json()))
  assert evaluate.evaluate(model, **asked).identity == found.identity
  with pytest.raises(
    ValueError, match=r"has scores of another split \(dev there, test now\); g"
  ):
    evaluate.evaluate(model, split="test", output=str(path))
  for text in ("{}", "[1]", "my notes", json.dumps({"identity": "mine"})):
    path.write_text(text)
    with pytest.raises(ValueError, match=r"scores\.json exists, and nothing"):
      evaluate.evaluate(model, **asked)
    assert path.read_text() == text
  with pytest.raises(ValueError, match="is a folder; give the path of a file"):
    evaluate.evaluate(model, split="dev", output=str(tmp_path))


def test_a_file_is_the_same_split_however_it_is_spelled(
  model, tmp_path, monkeypatch
):
  monkeypatch.chdir(tmp_path)
  write_table(tmp_path / "new.jsonl", small.make_texts(6, 5))
  (tmp_path / "copy.jsonl").write_bytes((tmp_path / "new.jsonl").read_bytes())
  output = tmp_path / "scores.json"
  found = evaluate.evaluate(model, split="new.jsonl", output=str(output))
  output.write_text(json.dumps(found.to_json()))
  for same in ("./new.jsonl", str(tmp_path / "new.jsonl")):
    again = evaluate.evaluate(model, split=same, output=str(output))
    assert again.identity == found.identity
    assert again.split == same
    assert "| score    | new.jsonl |" in evaluate.show(again)
  with pytest.raises(ValueError, match="has scores of another split") as caught:
    evaluate.evaluate(model, split="copy.jsonl", output=str(output))
  # A path is said whole, however long its parts are.
  assert f"({tmp_path}/new.jsonl there, {tmp_path}/copy.jsonl now)" in str(
    caught.value
  )


def test_another_table_is_scored_by_its_config(model, config, tmp_path):
  path = write_table(tmp_path / "new.jsonl", small.make_texts(10, 5))
  task = dataclasses.replace(config.task, test=path)
  # The length of rows is the model's.
  other = dataclasses.replace(config, task=task, seq_length=16)
  assert evaluate.evaluate(model, other).examples == 10


def test_what_is_wrong_with_the_data_is_told(
  model, config, tmp_path, caplog, capsys
):
  others = [("the zebra and a yak again", "fish"), ("an elm again", "tree")]
  path = write_table(tmp_path / "poor.jsonl", [("", "fish")] * 2 + others)
  task = dataclasses.replace(config.task, test=path, skip_bad_rows=True)
  poor = dataclasses.replace(config, task=task)
  found = evaluate.evaluate(model, poor)
  told = caplog.text
  assert "2 of 52 rows are left out" in told
  assert "tokens of the task are unknown" in told
  assert "test: 2 examples of 2 classes" in capsys.readouterr().out
  names = {each["name"] for each in found.to_json()["findings"]}
  assert {"skipped_rows", "task_unknown_tokens"} <= names
  for policy in (
    Policy(strict=frozenset(["skipped_rows"])),
    Policy(thresholds={"skipped_rows.fail": 0.01}),
  ):
    with pytest.raises(ValueError, match="rows are left out") as caught:
      evaluate.evaluate(model, poor, policy=policy)
    assert "\n" not in str(caught.value)
  allowing = Policy(
    allow=frozenset(["skipped_rows"]), thresholds={"skipped_rows.fail": 0.01}
  )
  allowed = evaluate.evaluate(model, poor, policy=allowing).findings
  assert [e["name"] for e in allowed if e["allowed"]] == ["skipped_rows"]


def test_the_mesh_is_that_of_this_machine(model, config, monkeypatch):
  info = read_bundle_info(model)
  many = dataclasses.replace(
    config, mesh=MeshConfig(data=8), evaluation_batch_size=24
  )
  details = dataclasses.replace(info.details, config=to_mapping(many))
  elsewhere = dataclasses.replace(info, details=details)
  monkeypatch.setattr(evaluate, "read_bundle_info", lambda _: elsewhere)
  stored = info.details.evaluation["test"]["accuracy"]["values"]
  assert [evaluate.evaluate(model).scores["accuracy"]] == stored
  # Three devices do not divide what eight divide.
  monkeypatch.setattr(
    stored_task, "make_mesh", lambda mesh: make_mesh(mesh, jax.devices()[:3])
  )
  fitted = stored_task._fit_machine(dataclasses.replace(config, batch_size=8))
  assert (fitted.batch_size, fitted.evaluation_batch_size) == (9, 18)
  # A kernel of the machine that trained may not exist here.
  tpu = dataclasses.replace(
    config, compute=dataclasses.replace(config.compute, attention="splash")
  )
  assert stored_task._fit_machine(tpu).compute.attention == "auto"
  # A config that is given is kept.
  with pytest.raises(ValueError, match="8"):
    evaluate.evaluate(model, many)


def test_several_devices_give_the_same_scores(model, monkeypatch):
  one = evaluate.evaluate(model)
  for module in (evaluate, stored_task, tasks):
    monkeypatch.setattr(
      module, "make_mesh", lambda mesh: make_mesh(mesh, jax.devices()[:2])
    )
  two = evaluate.evaluate(model)
  assert two.scores == pytest.approx(one.scores, rel=1e-5)


@pytest.mark.parametrize(
  ("changes", "words"),
  [
    ({"train": "unseen", "dev": "", "test": ""}, "the label 'ship', which"),
    ({"test": "unseen"}, "label 'ship' is not in"),
  ],
)
def test_other_labels_are_one_line(model, config, tmp_path, changes, words):
  rows = [*small.make_texts(24, 0), *[("a cod ship", "ship")] * 9]
  rows = [(f"{text} {n}", label) for n, (text, label) in enumerate(rows)]
  unseen = write_table(tmp_path / "unseen.jsonl", rows)
  changes = {k: unseen if v == "unseen" else v for k, v in changes.items()}
  task = dataclasses.replace(config.task, **changes)
  with pytest.raises(ValueError, match=words) as caught:
    evaluate.evaluate(model, dataclasses.replace(config, task=task))
  assert "\n" not in str(caught.value)


def test_a_model_of_another_task_is_one_line(model, config, tmp_path):
  table = small.write_scores(tmp_path / "scores.csv")
  task = TaskConfig(kind="table", train=table, target="score")
  with pytest.raises(
    ValueError, match="is a model of classification, and --config is of regres"
  ):
    evaluate.evaluate(model, dataclasses.replace(config, task=task))
