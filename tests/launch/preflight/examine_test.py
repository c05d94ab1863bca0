# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses
import json
import shutil

import pytest
import rich.console

from launch.preflight import examine
from launch.preflight.policy import DEFAULT


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


def flip(path):
  data = bytearray(path.read_bytes())
  data[len(data) // 2] ^= 1
  path.write_bytes(data)


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


def test_the_port_of_the_coordinator_is_one_that_is_open(monkeypatch):
  monkeypatch.delenv("JAX_COORDINATOR_PORT", raising=False)
  assert examine._port().level == "pass"
  for port in ("8482", "many"):
    monkeypatch.setenv("JAX_COORDINATOR_PORT", port)
    row = examine._port()
    assert row.level == "warn"
    assert port in row.text
