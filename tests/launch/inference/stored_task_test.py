# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A model is scored on what is asked for, read as it was trained to."""

import json
import shutil

import pytest

from bertjax.config import TaskConfig, from_mapping
from bertjax.finetune.artifact import load_finetuned
from configs.finetune import get_config
from launch import evaluate, tasks
from launch.inference import stored_task
from launch.inference.stored_task import Asked, overlay_name
from tests.testing import finetuned, glue_folders, small

pytestmark = pytest.mark.usefixtures("small_programs")


@pytest.fixture
def model(finetuned_place):
  return str(finetuned_place / "work/model")


def test_a_file_is_scored_with_the_classes_of_the_model(
  model, finetuned_place, tmp_path, capsys
):
  path = finetuned.write_table(tmp_path / "new.jsonl", small.make_texts(24, 7))
  whole = evaluate.evaluate(model, changes={"task.test": path})
  # As on another machine, which has nothing that the model was trained on.
  moved = shutil.copytree(model, tmp_path / "model")
  finetuned.move_data(moved, finetuned_place, tmp_path)
  alone = evaluate.evaluate(str(moved), split=path)
  again = evaluate.evaluate(str(moved), task="table", split=path)
  with pytest.raises(ValueError, match=r"task.train=.*is not here; give --c"):
    evaluate.evaluate(str(moved))
  assert alone.split == path
  assert alone.scores == again.scores == whole.scores
  assert alone.to_json()["confusion"] == whole.to_json()["confusion"]
  said = capsys.readouterr().out
  assert said.count("--task=table, as") == 2
  assert "train" not in said.rpartition("--task=table, as")[2].replace(
    str(tmp_path), ""
  )


def test_a_file_may_have_one_class_of_the_model(model, tmp_path, caplog):
  path = tmp_path / "one.csv"
  path.write_text("question,kind\nan oak by the river,tree\nthe elm,tree\n")
  found = evaluate.evaluate(model, split=str(path))
  assert found.labels == ("fish", "tree")
  assert found.classes
  assert found.classes.labels == (0, 2)
  assert "have one label" in caplog.text


def test_an_unknown_label_is_one_line_with_its_row(model, tmp_path):
  path = tmp_path / "unknown.csv"
  known = "the cod by the river,fish\n" * 9
  path.write_text(f"question,kind\n{known}a ship,ship\n")
  with pytest.raises(ValueError, match="ship") as caught:
    evaluate.evaluate(model, split=str(path))
  assert str(caught.value) == (
    f"{path}:11 has the label 'ship'; give one of fish, tree; to leave out "
    "such rows, give --config.task.skip_bad_rows"
  )
  found = evaluate.evaluate(
    model, split=str(path), changes={"task.skip_bad_rows": True}
  )
  assert found.examples == 9


@pytest.mark.parametrize(
  ("asked", "words"),
  [
    (
      {"task": "squad"},
      "is a model of classification, and --task=squad is of question_answering;"
      " it was fine-tuned with --task=table",
    ),
    (
      {"task": "regression"},
      "is a model of classification, and --task=regression is of regression;"
      " it was fine-tuned with --task=table",
    ),
    ({"split": "tset"}, "--split=tset is neither a file nor one of test, dev"),
    (
      {"task": "glue/rte", "split": "HERE/test.jsonl"},
      "which reads no single files; give --task=table",
    ),
    (
      {"split": "HERE/test.jsonl", "changes": {"task.test": "other.csv"}},
      "is a file, and --config.task.test is given",
    ),
    ({"changes": {"steps": 3}}, "--config.steps=3 changes nothing here"),
    ({"changes": {"task.folder": "a"}}, "task.folder=a is read only with"),
  ],
)
def test_what_cannot_be_scored_is_one_line(
  model, finetuned_place, asked, words
):
  text = json.dumps(asked).replace("HERE", str(finetuned_place))
  with pytest.raises(ValueError, match=words) as caught:
    evaluate.evaluate(model, **json.loads(text))
  assert "\n" not in str(caught.value)


def test_another_reader_has_the_length_and_windows_of_the_model(
  model, tmp_path
):
  found = load_finetuned(model, tasks.TASKS)
  folder = glue_folders.make(tmp_path / "glue")
  asked = Asked("glue/cola", {"task.folder": str(folder)})
  config = stored_task.make_config(model, found, None, asked)
  config = stored_task.with_head(config, found.head)
  assert (config.seq_length, config.task.stride) == (8, 4)
  assert config.task.long_texts == "max"
  # It has other labels.
  with pytest.raises(ValueError, match="knows 2 labels, and cola has"):
    evaluate.evaluate(model, task="glue/cola", changes=asked.changes)


def test_a_model_without_a_record_needs_a_task(model):
  found = load_finetuned(model, tasks.TASKS)
  with pytest.raises(ValueError, match="give --task, one of stdlib, table, cl"):
    stored_task.make_config(model, found, None, Asked())


def test_a_config_has_the_name_of_its_overlay():
  assert overlay_name(TaskConfig(kind="conll")) == "ner"
  assert overlay_name(TaskConfig(kind="glue", name="rte")) == "glue/rte"
  assert overlay_name(TaskConfig(kind="table")) == "table"
  for name in ("multi_label", "regression", "multiple_choice"):
    config = get_config(f"task={name}").to_dict()["task"]
    assert overlay_name(from_mapping(TaskConfig, config)) == name


def test_fields_of_the_config_need_no_config():
  bare = ["evaluate", "--bundle=a", "--config.task.test=b"]
  assert evaluate.add_config(bare)[1] == "--config=finetune"
  for arguments in (bare[:2], [*bare, "--config=mine.py"]):
    assert evaluate.add_config(arguments) == arguments


def test_a_model_of_single_texts_refuses_pairs(
  model, finetuned_place, tmp_path
):
  table = tmp_path / "pairs.jsonl"
  lines = (finetuned_place / "test.jsonl").read_text().splitlines()
  rows = [{**json.loads(line), "answer": "it"} for line in lines]
  table.write_text("\n".join(map(json.dumps, rows)))
  splits = {f"task.{name}": str(table) for name in ("train", "dev", "test")}
  changes = {**splits, "task.text_pair": "answer"}
  with pytest.raises(ValueError, match="reads single texts, and"):
    evaluate.evaluate(model, changes=changes)
