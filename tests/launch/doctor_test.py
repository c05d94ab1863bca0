# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import json
import shutil
import subprocess
import sys

import pytest

from data_pipelines.prepare.options import Options
from data_pipelines.prepare.prepare import prepare


@pytest.fixture(scope="module")
def made(tmp_path_factory):
  folder = tmp_path_factory.mktemp("doctor")
  lines = [
    json.dumps({"text": f"Tale {i}. The old man fished. He caught {i} fish."})
    for i in range(30)
  ]
  (folder / "corpus.jsonl").write_text("\n".join(lines), encoding="utf-8")
  prepare(
    Options(
      corpus=f"{folder}/corpus.jsonl",
      output=f"{folder}/store",
      validation="0.3",
      vocab_size=60,
    )
  )
  return folder / "store"


@pytest.fixture
def store(made, tmp_path):
  shutil.copytree(made, tmp_path / "store")
  return tmp_path / "store"


def command(store):
  return subprocess.run(
    [sys.executable, "-m", "launch.doctor", f"--store={store}"],
    capture_output=True,
    text=True,
    check=False,
  )


def test_a_whole_store_is_told_to_be_whole_file_by_file(store):
  done = command(store)
  assert done.returncode == 0, done.stderr
  files = json.loads((store / "manifest.json").read_text())["splits"]
  for split in files.values():
    for entry in (*split["shards"], *split["index"].values()):
      assert f"{entry['name']}: ok" in done.stdout
  assert "is whole" in done.stdout


def flip(path):
  data = bytearray(path.read_bytes())
  data[len(data) // 2] ^= 1
  path.write_bytes(data)


DAMAGES = {
  "a flipped bit of a shard": (
    lambda store: flip(store / "train-00000-of-00001.array_record"),
    "train-00000-of-00001.array_record: damaged",
  ),
  "a flipped bit of the index": (
    lambda store: flip(store / "validation.sentences.npy"),
    "validation.sentences.npy: damaged",
  ),
  "a shard that is cut short": (
    lambda store: (store / "train-00000-of-00001.array_record").write_bytes(
      b"x"
    ),
    "train-00000-of-00001.array_record: 1 bytes long; its manifest says",
  ),
  "a shard that is gone": (
    lambda store: (store / "train-00000-of-00001.array_record").unlink(),
    "train-00000-of-00001.array_record: missing",
  ),
  "another tokenizer": (
    lambda store: (store / "tokenizer" / "vocab.txt").write_text(
      "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n"
    ),
    "tokenizer: changed since the store was made",
  ),
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_damage_is_named_and_the_exit_code_is_1(kind, store):
  damage, message = DAMAGES[kind]
  damage(store)
  done = command(store)
  assert done.returncode == 1
  assert message in done.stdout
  assert done.stderr.startswith(f"error: 1 file of {store} damaged or missing")
  assert done.stdout.count(": ok") == len(done.stdout.splitlines()) - 1


def test_what_is_no_store_is_told(tmp_path):
  done = command(tmp_path)
  assert done.returncode == 1
  assert "is not a store" in done.stderr
  assert done.stderr.count("\n") == 1
