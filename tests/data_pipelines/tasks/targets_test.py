# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from bertjax.config import TaskConfig
from data_pipelines.tasks import targets
from data_pipelines.tasks.tabular import load_task


def make_config(tmp_path, rows, suffix="csv", header="text,label\n", **fields):
  path = tmp_path / f"table.{suffix}"
  path.write_text(header + "".join(f"{row}\n" for row in rows))
  return TaskConfig(kind="table", train=str(path), test_rate=0, **fields)


def test_a_row_may_have_any_number_of_labels(tmp_path):
  rows = ['a1,"x, y"', "a2,y", "a3,", "a4, z ", 'a5,"y,x"'] * 2
  rows = [f"{number} {row}" for number, row in enumerate(rows)]
  task = load_task(make_config(tmp_path, rows, target="labels"))
  assert task.labels == ("x", "y", "z")
  found = {
    text: value.tolist()
    for split in (task.train, task.dev)
    for text, value in zip(split.texts, split.labels_N, strict=True)
  }
  assert len(found) == 10
  for text, value in found.items():
    wanted = {"a1": "xy", "a2": "y", "a3": "", "a4": "z", "a5": "xy"}[text[2:]]
    assert value == [name in wanted for name in "xyz"]


def test_json_may_have_lists_of_labels(tmp_path):
  rows = [
    '{"text": "a", "label": ["x", "y"]}',
    '{"text": "b", "label": "y"}',
    '{"text": "c", "label": []}',
    '{"text": "d", "label": null}',
  ]
  config = make_config(tmp_path, rows, "jsonl", "", target="labels")
  task = load_task(config)
  assert task.labels == ("x", "y")
  assert len(task.train) + len(task.dev) == 4
  bad = [*rows, '{"text": "e", "label": ["x,y"]}']
  with pytest.raises(ValueError, match=r"table.jsonl:5 has a list as 'label'"):
    load_task(make_config(tmp_path, bad, "jsonl", "", target="labels"))


def test_another_separator(tmp_path):
  rows = ["a,x|y", "b,y", "c,x"]
  config = make_config(tmp_path, rows, target="labels", separator="|")
  assert load_task(config).labels == ("x", "y")
  with pytest.raises(
    ValueError,
    match=r"only the label x, read with --config.*: at .*table.csv:3",
  ):
    load_task(make_config(tmp_path, ["a,", "b,x"], target="labels"))
  with pytest.raises(ValueError, match="has no label, read with --config"):
    load_task(make_config(tmp_path, [",".join("a ")] * 2, target="labels"))
  with pytest.raises(ValueError, match=r"task.separator is empty"):
    load_task(make_config(tmp_path, rows, target="labels", separator=""))


def test_a_label_that_train_lacks_is_refused(tmp_path):
  dev = tmp_path / "dev.csv"
  dev.write_text('text,label\nb,x\nc,"x,w"\n')
  config = make_config(
    tmp_path, ['a,"x,y"', "d,y"], target="labels", dev=str(dev)
  )
  with pytest.raises(ValueError, match=r"dev.csv:3: label 'w' is not in"):
    load_task(config)


def test_scores_are_float32_and_named_by_their_column(tmp_path):
  rows = [f"{n},{n / 4}" for n in range(20)]
  task = load_task(make_config(tmp_path, rows, target="score"))
  assert task.labels == ("label",)
  assert task.train.labels_N.dtype == np.float32
  for split in (task.train, task.dev):
    assert [float(text) / 4 for text in split.texts] == split.labels_N.tolist()
  assert len(task.dev) == 2


@pytest.mark.parametrize("label", ["good", "nan", "inf", "3,5"])
def test_a_score_is_a_number(tmp_path, label):
  rows = ["a,1.5", f'b,"{label}"', "c,2"]
  config = make_config(tmp_path, rows, target="score")
  with pytest.raises(
    ValueError, match=r"table.csv:3 has the .*give a number, or --config"
  ):
    load_task(config)


def test_groups_that_a_share_is_held_out_of():
  classes_N = np.asarray([0, 1, 1], np.int32)
  assert targets.strata(classes_N) is classes_N
  assert targets.strata(np.ones(3, np.float32)).tolist() == [0, 0, 0]
  several_NC = np.asarray([[1, 0], [1, 0], [1, 1], [0, 0]], bool)
  assert targets.strata(several_NC).tolist() == [0, 0, 1, 2]


def test_a_rare_label_is_on_both_sides(tmp_path):
  rows = [f'{n},"x{",y" if n % 20 == 0 else ""}"' for n in range(40)]
  task = load_task(make_config(tmp_path, rows, target="labels"))
  for split in (task.train, task.dev):
    assert split.labels_N[:, 1].any()


def test_what_is_counted_of_each_target():
  several_NC = np.asarray([[True, True], [False, True]])
  classes_N = np.asarray([0, 2, 2], np.int32)
  scores_N = np.asarray([1.5], np.float32)
  assert targets.count_by_class(several_NC, 2) == (1, 2)
  assert targets.count_by_class(classes_N, 3) == (1, 0, 2)
  assert targets.count_by_class(scores_N, 1) == ()
  assert targets.most_labels(several_NC) == 2
  assert targets.most_labels(classes_N) is None
