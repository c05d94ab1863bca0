# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses
import json
import shutil

import pytest
import rich.console

from bertjax.config import FinetuneConfig, TaskConfig
from launch.preflight import examine
from launch.preflight.policy import DEFAULT
from launch.run import ownership
from launch.run.origin import Past
from tests.testing import small
from tests.testing.prepared import flip


@pytest.fixture
def store_copy(store, tmp_path):
  return shutil.copytree(store, tmp_path / "store")


def rows_of(store):
  """Return the rows of the doctor's table by what was looked at."""
  console = rich.console.Console(quiet=True)
  rows = list(examine.examine_store(str(store), console, DEFAULT))
  return {row.what: row for row in rows}, rows


def test_every_file_of_a_whole_store_passes(store_copy):
  rows, _ = rows_of(store_copy)
  files = json.loads((store_copy / "manifest.json").read_text())["splits"]
  for split in files.values():
    for entry in (*split["shards"], *split["index"].values()):
      assert rows[entry["name"]].level == "pass"
  assert rows["tokenizer"].level == "pass"


def write_other_tokenizer(store):
  text = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n"
  (store / "tokenizer/vocab.txt").write_text(text)
  (store / "tokenizer/tokenizer.json").unlink()


SHARD = "train-00000-of-00001.array_record"
# What is done to a store → the file that is named, and what is said of it.
DAMAGES = {
  "a flipped bit of a shard": (
    lambda store: flip(store / SHARD),
    SHARD,
    "damaged",
  ),
  "a flipped bit of the index": (
    lambda store: flip(store / "validation.sentences.npy"),
    "validation.sentences.npy",
    "damaged",
  ),
  "a shard that is cut short": (
    lambda store: (store / SHARD).write_bytes(b"x"),
    SHARD,
    "1 bytes long; its manifest says",
  ),
  "a shard that is gone": (
    lambda store: (store / SHARD).unlink(),
    SHARD,
    "missing",
  ),
  "another tokenizer": (
    write_other_tokenizer,
    "tokenizer",
    "changed since the store was made",
  ),
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_the_damaged_file_fails_and_no_other(kind, store_copy):
  damage, name, message = DAMAGES[kind]
  damage(store_copy)
  rows, every = rows_of(store_copy)
  assert message in rows[name].text
  assert [row.what for row in every if row.level == "fail"] == [name]


def test_a_run_a_bundle_and_a_task_are_examined(two_phases, bundle, tmp_path):
  work = tmp_path / "work"
  rows = list(examine.examine_run(two_phases, str(work), DEFAULT))
  assert {"config", "epochs", "disk_space", "one_run"} <= {
    row.name for row in rows
  }
  assert not [row for row in rows if row.level == "fail"]
  assert not work.exists()  # a doctor leaves nothing behind
  (row,) = examine.examine_bundle(str(bundle))
  assert row.level == "pass"
  # A mistake of the config is a row as well.
  broken = dataclasses.replace(
    two_phases, data=dataclasses.replace(two_phases.data, store="nowhere")
  )
  (row,) = examine.examine_run(broken, None, DEFAULT)
  assert (row.name, row.level) == ("config", "fail")


def test_a_run_that_is_held_and_a_run_of_another_kind_fail(
  two_phases, tmp_path, monkeypatch
):
  work = tmp_path / "work"
  with ownership.locked(work):
    rows = {
      row.name: row
      for row in examine.examine_run(two_phases, str(work), DEFAULT)
    }
  assert rows["one_run"].level == "fail"
  record = {
    "identity": {"seed": 7},
    "config": {"init_from": ""},
  }
  monkeypatch.setattr(examine, "read_past", lambda *_: Past(record=record))
  rows = {
    row.name: row for row in examine.examine_run(two_phases, str(work), DEFAULT)
  }
  assert rows["one_run"].level == "pass"
  assert rows["same_run"].level == "fail"
  assert "seed" in rows["same_run"].text


def test_the_data_of_a_task_are_judged_and_mistakes_are_rows(tmp_path):
  info = small.make_bundle(tmp_path / "bundle")
  config = FinetuneConfig(
    task=TaskConfig(kind="table", train=str(tmp_path / "nowhere.csv")),
    seq_length=16,
  )
  (row,) = examine.examine_task(config, str(info), DEFAULT)
  assert (row.name, row.level) == ("config", "fail")
  lines = [
    f"the {word} by the river,{kind}"
    for kind, words in small.WORDS.items()
    for word in words
    for _ in range(8)
  ]
  table = tmp_path / "task.csv"
  table.write_text("\n".join(["text,label", *lines]) + "\n")
  task = dataclasses.replace(config.task, train=str(table))
  rows = list(
    examine.examine_task(
      dataclasses.replace(config, task=task), str(info), DEFAULT
    )
  )
  assert {"numeric_labels", "shared_texts", "cut_texts"} <= {
    row.name for row in rows
  }


def test_the_port_of_the_coordinator_is_one_that_is_open(monkeypatch):
  monkeypatch.delenv("JAX_COORDINATOR_PORT", raising=False)
  assert examine._port().level == "pass"
  for port in ("8482", "many"):
    monkeypatch.setenv("JAX_COORDINATOR_PORT", port)
    row = examine._port()
    assert row.level == "warn"
    assert port in row.text
