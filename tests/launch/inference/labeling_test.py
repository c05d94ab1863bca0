# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Files are labeled row by row, whatever happens on the way."""

import csv
import functools
import io
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import types

import pytest

from data_pipelines.tasks.table_files import Columns
from launch.inference.inputs import STDIN, Source
from launch.inference.labeling import Options, label_file
from launch.inference.predictor import load_predictor
from launch.preflight.policy import Policy
from tests.testing.classifiers import make_classifier, random_texts
from tests.testing.commands import run_command

ROOT = pathlib.Path(__file__).parents[3]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
  return make_classifier(tmp_path_factory.mktemp("labeling") / "model")


def write_jsonl(path, texts):
  lines = (json.dumps({"text": text}, ensure_ascii=False) for text in texts)
  path.write_text("\n".join(lines) + "\n")
  return Source(str(path), Columns())


def read_lines(path):
  return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_row_has_its_line_in_order(model, tmp_path, capsys):
  texts = random_texts(300, longest=40)
  source, output = (
    write_jsonl(tmp_path / "in.jsonl", texts),
    tmp_path / "out.jsonl",
  )
  # Parts of 64 rows, and batches of few.
  label_file(model, source, str(output), Options(batch_size=1, top_k=2))
  told = capsys.readouterr().err
  assert "first text needs it: 12 tokens, 8 at once; 16 tokens, " in told
  assert "--batch_size may change the last bits" in told
  assert "300 rows," in told
  assert "compiled for lengths of 12, 16 tokens" in told
  found = read_lines(output)
  assert [each["line"] for each in found] == list(range(1, 301))
  wanted = load_predictor(model, batch_size=1)(texts)
  for line, record in zip(found, wanted, strict=True):
    assert line["label"] == record["label"]
    assert line["probability"] == record["probability"]
    assert list(line["probabilities"]) == list(record["probabilities"])[:2]
  label_file(model, source, str(output), Options(batch_size=1, top_k=2))
  # Nothing is computed, and nothing is said of how.
  assert capsys.readouterr().err == f"300 rows are in {output} already\n"


def test_formats_agree(model, tmp_path):
  texts = random_texts(20)
  tables = [write_jsonl(tmp_path / "in.jsonl", texts)]
  # The quotes of a .tsv are characters of the text.
  tabbed = tmp_path / "in.tsv"
  tabbed.write_text("\n".join(["text", *texts]))
  quoted = tmp_path / "in.csv"
  with quoted.open("w", newline="") as stream:
    csv.writer(stream).writerows([["text"], *([text] for text in texts)])
  tables += [Source(str(path), Columns()) for path in (tabbed, quoted)]
  found = []
  for number, source in enumerate(tables):
    output = tmp_path / f"out{number}.jsonl"
    label_file(model, source, str(output))
    found.append([{**each, "line": 0} for each in read_lines(output)])
  assert found[0] == found[1] == found[2]


command = functools.partial(run_command, "launch.predict")


def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(model, tmp_path):
  texts = random_texts(2500)
  texts[70] = ""  # a bad row among those that are skipped on resuming
  source = write_jsonl(tmp_path / "in.jsonl", texts)
  arguments = [
    *(f"--bundle={model}", f"--input={source.path}", "--skip_bad_rows"),
    "--batch_size=1",
  ]
  output = tmp_path / "out.jsonl"
  journal = tmp_path / "out.jsonl.run.json"
  process = subprocess.Popen(
    [
      *(sys.executable, "-m", "launch.predict"),
      *(*arguments, f"--output={output}"),
    ],
    stderr=subprocess.DEVNULL,
    cwd=ROOT,
  )
  while not journal.exists() or json.loads(journal.read_text())["read"] < 500:
    assert process.poll() is None, "the run ended before it could be killed"
    time.sleep(0.005)
  os.kill(process.pid, signal.SIGKILL)
  process.wait()
  assert not output.exists()
  with (tmp_path / "out.jsonl.partial").open("ab") as stream:
    stream.write(b'{"line": 77, "la')  # a torn line
  again = command(*arguments, f"--output={output}")
  assert again.returncode == 0, again.stderr
  assert "goes on after" in again.stderr
  assert f"1 row is left out: {source.path}:71 has no text" in again.stderr
  label_file(
    model,
    Source(source.path, Columns(), skip_bad_rows=True),
    str(tmp_path / "whole.jsonl"),
    Options(batch_size=1),
  )
  assert output.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
  assert len(read_lines(output)) == 2499
  assert not (tmp_path / "out.jsonl.partial").exists()


def test_an_output_of_something_else_is_refused(model, tmp_path):
  source = write_jsonl(tmp_path / "in.jsonl", random_texts(5))
  other = write_jsonl(tmp_path / "other.jsonl", random_texts(5, seed=1))
  output = tmp_path / "out.jsonl"
  label_file(model, source, str(output))
  before = output.read_bytes()
  with pytest.raises(ValueError, match=r"out\.jsonl is of another input"):
    label_file(model, other, str(output))
  with pytest.raises(ValueError, match=r"of another top k \(5 there, 1 now\)"):
    label_file(model, source, str(output), Options(top_k=1))
  (tmp_path / "mine.jsonl").write_text("precious")
  with pytest.raises(ValueError, match="nothing says that it is of this input"):
    label_file(model, source, str(tmp_path / "mine.jsonl"))
  assert output.read_bytes() == before
  assert (tmp_path / "mine.jsonl").read_text() == "precious"
  assert not (tmp_path / "mine.jsonl.partial").exists()


def test_bad_rows_are_refused_before_anything_is_made(model, tmp_path):
  path = tmp_path / "in.jsonl"
  lines = ['{"text": "a cod"}', '{"text": null}', '{"text": " "}', "{", "[]"]
  path.write_text("\n".join([*lines, '{"txt": "a"}', '{"text": "\\ud800"}']))
  with pytest.raises(ValueError, match=r":2 has null as 'text'.*6 rows are"):
    label_file(model, Source(str(path), Columns()), str(tmp_path / "out.jsonl"))
  assert [each.name for each in tmp_path.iterdir()] == ["in.jsonl"]
  source = Source(str(path), Columns(), skip_bad_rows=True)
  label_file(model, source, str(tmp_path / "out.jsonl"))
  (line,) = read_lines(tmp_path / "out.jsonl")
  assert line["line"] == 1


def test_standard_input_is_read_once(model, tmp_path):
  lines = '{"text": "the cod"}\n{"text": ""}\n{"text": "an oak"}\n'
  done = command(
    *(f"--bundle={model}", "--input=-", "--skip_bad_rows"), stdin=lines
  )
  assert done.returncode == 0, done.stderr
  assert done.stderr.startswith("standard input is read once, so that this can")
  found = [json.loads(line) for line in done.stdout.splitlines()]
  assert [each["line"] for each in found] == [1, 3]
  wanted = load_predictor(model)(["the cod", "an oak"])
  assert [each["probability"] for each in found] == [
    each["probability"] for each in wanted
  ]


@pytest.mark.parametrize(
  ("lines", "wrong"),
  [
    (b"", "^standard input has no rows"),
    (b'{"text": null}\n', "^standard input:1 has null as 'text'"),
  ],
)
def test_a_mistake_on_standard_input_says_so(
  model, monkeypatch, capsys, lines, wrong
):
  stdin = types.SimpleNamespace(buffer=io.BytesIO(lines))
  monkeypatch.setattr(sys, "stdin", stdin)
  with pytest.raises(ValueError, match=wrong):
    label_file(model, Source(STDIN, Columns()), "")
  assert "0 rows" not in capsys.readouterr().err


def test_cut_texts_are_told_and_may_be_refused(model, tmp_path, caplog):
  source = write_jsonl(tmp_path / "in.jsonl", ["the cod " * 9, "the cod"])
  label_file(model, source, str(tmp_path / "out.jsonl"))
  assert "1 of 2 texts are longer than 16 tokens" in caplog.text
  strict = Policy(strict=frozenset(["cut_texts"]))
  with pytest.raises(ValueError, match="longer than 16"):
    label_file(
      model, source, str(tmp_path / "other.jsonl"), Options(policy=strict)
    )


@pytest.mark.parametrize("name", ["labels.csv", "labels.parquet", "labels"])
def test_a_file_that_is_not_of_lines_of_json_is_refused(tmp_path, name):
  source = Source(str(tmp_path / "a.csv"), Columns())
  with pytest.raises(ValueError, match=rf"{name} .*give a .jsonl file"):
    label_file("no_bundle", source, str(tmp_path / name))
