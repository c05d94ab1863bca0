# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import functools
import json
import re
import shutil

import pytest
import rich.console

from data_pipelines.prepare.options import Options
from data_pipelines.prepare.prepare import prepare
from launch import doctor
from launch.preflight.examine import Row
from launch.preflight.policy import Policy
from launch.preflight.thresholds import CHECKS
from tests.testing.commands import run_command
from tests.testing.prepared import flip


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


command = functools.partial(run_command, "launch.doctor")


def test_the_command_prints_a_table_and_exits_with_1_if_anything_fails(store):
  done = command(f"--store={store}", "--allow=unknown_tokens")
  assert done.returncode == 0, done.stderr
  assert "train-00000-of-00001.array_record" in done.stdout
  assert "nothing fails" in done.stdout
  flip(store / "train-00000-of-00001.array_record")
  done = command(f"--store={store}")
  assert done.returncode == 1
  assert re.search(r"1 of \d+ checks fail: checksum", done.stderr)
  assert done.stderr.count("\n") == 1


def test_what_is_allowed_is_told_apart_from_what_warns(capsys):
  rows = [
    Row("store", "unknown_tokens", "fail"),
    Row("store", "fertility", "warn"),
    Row("store", "epochs", "pass"),
  ]
  policy = Policy(allow=frozenset(["unknown_tokens"]))
  doctor.run(rows, policy, rich.console.Console(quiet=True))
  told = capsys.readouterr().out
  assert told == "3 checks, 1 warnings, 1 that --allow lets fail\n"


@pytest.mark.parametrize(
  ("arguments", "message"),
  [
    ([], "nothing to look at is given"),
    (["--workdir=work"], "--workdir is given without --config"),
    (["--task=finetune:task=stdlib"], "--task is given without --bundle"),
    (["--store={}"], "is not a store"),
    (["--store={}", "--allow=nothing"], "there is no such check"),
  ],
)
def test_mistakes_are_one_line(arguments, message, tmp_path):
  done = command(*(each.format(tmp_path) for each in arguments))
  assert done.returncode == 1
  assert message in done.stderr
  assert done.stderr.count("\n") == 1


def test_what_a_store_and_a_run_have_in_common_is_told_once():
  """Checks without a figure are of files, and are all told."""
  figure = ("fertility", "pass", "1.02", "2")
  rows = [
    Row("runs/store", *figure),
    Row("a", "checksum", "pass"),
    Row("run", *figure),
    Row("run", "fertility", "warn", "2.02", "2"),
    Row("b", "checksum", "pass"),
  ]
  assert doctor.once(rows) == [rows[0], rows[1], rows[3], rows[4]]


def test_every_check_is_listed_with_its_limits():
  done = command("--list")
  assert done.returncode == 0, done.stderr
  for name in CHECKS:
    assert name in done.stdout
