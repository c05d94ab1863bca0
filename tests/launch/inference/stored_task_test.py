# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A model is scored on what is asked for, read as it was trained to."""

import json

import jax
import pytest

from bertjax.config import FinetuneConfig, TaskConfig, from_mapping
from bertjax.finetune.artifact import load_finetuned
from bertjax.parallel.mesh import make_mesh
from configs.finetune import get_config
from launch import evaluate, finetune, tasks
from launch.inference import stored_task
from launch.inference.stored_task import Asked, overlay_name
from tests.testing import glue_folders, small


@pytest.fixture(scope="module", autouse=True)
def one_device():
  """Compiling for eight takes three times as long."""
  with pytest.MonkeyPatch.context() as patch:
    for module in (
      *("launch.tasks", "launch.evaluate", "launch.inference.stored_task"),
      "bertjax.finetune.arm",
    ):
      patch.setattr(
        f"{module}.make_mesh",
        lambda config: make_mesh(config, jax.devices()[:1]),
      )
    yield


@pytest.fixture(scope="module")
def place(tmp_path_factory):
  """A folder with a table for each split, and a model of 12 steps."""
  folder = tmp_path_factory.mktemp("stored")
  for seed, name in enumerate(("train", "dev", "test")):
    rows = small.make_texts(24, seed)
    path = folder / f"{name}.csv"
    lines = "".join(f"{text},{label}\n" for text, label in rows)
    path.write_text(f"question,kind\n{lines}")
  config = FinetuneConfig(
    steps=12,
    batch_size=8,
    evaluation_batch_size=16,
    evaluations=2,
    seq_length=8,
    learning_rates=(1e-2,),
    seeds=1,
    task=TaskConfig(
      kind="table",
      text="question",
      label="kind",
      long_texts="max",
      stride=4,
      train=f"{folder}/train.csv",
      dev=f"{folder}/dev.csv",
    ),
  )
  bundle = small.make_bundle(folder / "bundle")
  finetune.run(config, bundle, str(folder / "work"))
  return folder


@pytest.fixture
def model(place):
  return str(place / "work/model")


def test_a_file_is_scored_with_the_classes_of_the_model(
  model, place, monkeypatch, capsys
):
  whole = evaluate.evaluate(model, changes={"task.test": f"{place}/test.csv"})
  (place / "train.csv").rename(place / "elsewhere.csv")
  try:
    alone = evaluate.evaluate(model, split=f"{place}/test.csv")
    again = evaluate.evaluate(model, task="table", split=f"{place}/test.csv")
    with pytest.raises(ValueError, match=r"task.train=.*is not here; give --c"):
      evaluate.evaluate(model)
  finally:
    (place / "elsewhere.csv").rename(place / "train.csv")
  assert alone.split == f"{place}/test.csv"
  assert alone.scores == again.scores == whole.scores
  assert alone.to_json()["confusion"] == whole.to_json()["confusion"]
  said = capsys.readouterr().out
  assert said.count("--task=table, as") == 2
  assert "train" not in said.rpartition("--task=table, as")[2].replace(
    str(place), ""
  )


def test_a_file_may_have_one_class_of_the_model(model, place, caplog):
  path = place / "one.csv"
  path.write_text("question,kind\nan oak by the river,tree\nthe elm,tree\n")
  found = evaluate.evaluate(model, split=str(path))
  assert found.labels == ("fish", "tree")
  assert found.classes
  assert found.classes.labels == (0, 2)
  assert "have one label" in caplog.text


def test_an_unknown_label_is_one_line_with_its_row(model, place):
  path = place / "unknown.csv"
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
      {"task": "glue/rte", "split": "HERE/test.csv"},
      "which reads no single files; give --task=table",
    ),
    (
      {"split": "HERE/test.csv", "changes": {"task.test": "other.csv"}},
      "is a file, and --config.task.test is given",
    ),
    ({"changes": {"steps": 3}}, "--config.steps=3 changes nothing here"),
    ({"changes": {"task.folder": "a"}}, "task.folder=a is read only with"),
    ({"changes": {"task.text_pair": "kind"}}, "reads single texts, and"),
  ],
)
def test_what_cannot_be_scored_is_one_line(model, place, asked, words):
  text = json.dumps(asked).replace("HERE", str(place))
  with pytest.raises(ValueError, match=words) as caught:
    evaluate.evaluate(model, **json.loads(text))
  assert "\n" not in str(caught.value)


def test_another_reader_has_the_length_and_windows_of_the_model(
  model, place, tmp_path
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
