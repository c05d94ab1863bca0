# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Parts of a source: bounded, in order, and after what is done."""

import errno
import json

import numpy as np
import pytest

from data_pipelines.tasks.features import EncodedTexts
from data_pipelines.tasks.table_files import Columns
from launch.inference import stream
from launch.inference.encoding import Encoded
from launch.inference.inputs import BadRows, Source, examine
from launch.inference.outputs import JsonLines, Output
from tests.testing.memory import peak_bytes


def write(path, texts):
  path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
  return Source(str(path), Columns(), skip_bad_rows=True)


def encode(texts):
  return Encoded(
    EncodedTexts(
      {"n": np.asarray([len(t) for t in texts.texts])}, 0, 0, 0, 0, 0
    ),
    np.arange(len(texts)),
  )


def make_job(source, finish=None):
  finish = finish or (
    lambda started, lines: [
      {"line": line, "n": int(n)}
      for line, n in zip(lines, started.features["n"], strict=True)
    ]
  )
  worker = stream.Worker(encode, lambda each: each, finish, 1, lambda: [16])
  return stream.Job(worker, source, examine(source), lambda *_: None)


def test_long_texts_make_small_parts(tmp_path):
  source = write(tmp_path / "in.jsonl", ["a"] * 100 + ["b" * 5000] * 3 + [""])
  found = list(stream.parts(source, BadRows(), 0, 1))
  assert [len(part.examples) for part in found] == [64, 37, 1, 1, 0]
  assert [part.read for part in found] == [64, 37, 1, 1, 1]
  rest = list(stream.parts(source, BadRows(), 64, 1))
  assert rest == found[1:]


def test_rows_that_are_skipped_on_resuming_are_counted(tmp_path):
  source = write(tmp_path / "in.jsonl", ["", "a", "", "b"])
  bad = BadRows()
  (part,) = stream.parts(source, bad, 2, 1)
  assert [example.line for example in part.examples] == [4]
  assert bad.count == 2


def test_a_job_that_fails_goes_on(tmp_path, capsys):
  texts = ["x" * (n % 9 + 1) for n in range(500)]
  source = write(tmp_path / "in.jsonl", texts)
  output = Output(tmp_path / "out", {"input": "a"})

  def finish(started, lines):
    if lines[0] > 300:
      raise KeyboardInterrupt
    return make_job(source).worker.finish(started, lines)

  with pytest.raises(KeyboardInterrupt):
    make_job(source, finish).make_file(output, JsonLines)
  make_job(source).make_file(output, JsonLines)
  assert (
    f"320 rows are done; {output.path} goes on after them"
    in capsys.readouterr().err
  )
  rows = [json.loads(line) for line in output.path.read_text().splitlines()]
  assert rows == [
    {"line": number + 1, "n": len(text)} for number, text in enumerate(texts)
  ]


@pytest.mark.parametrize("identity", [{"input": "a"}, None])
def test_a_second_process_leaves_the_first_one_alone(tmp_path, identity):
  source = write(tmp_path / "in.jsonl", ["a"] * 500)
  output = Output(tmp_path / "out", {"input": "a"})
  second = Output(tmp_path / "out", identity)

  def finish(started, lines):
    if lines[0] > 300:
      before = output.journal.read_bytes(), output.partial.read_bytes()
      with pytest.raises(ValueError, match="another process is writing"):
        make_job(source).make_file(second, JsonLines)
      assert before == (
        output.journal.read_bytes(),
        output.partial.read_bytes(),
      )
    return make_job(source).worker.finish(started, lines)

  make_job(source, finish).make_file(output, JsonLines)
  assert len(output.path.read_text().splitlines()) == 500
  make_job(source).make_file(output, JsonLines)  # is done
  assert not output.partial.exists()


def test_a_disk_that_is_full_meanwhile_is_named_and_goes_on(
  tmp_path, monkeypatch
):
  source = write(tmp_path / "in.jsonl", ["a"] * 100)
  output = Output(tmp_path / "out", {"a": 1})
  job = make_job(source)
  synced = JsonLines.sync

  def fill(rows):
    if rows._stream.tell() > 1500:
      raise OSError(errno.ENOSPC, "full")
    return synced(rows)

  monkeypatch.setattr(JsonLines, "sync", fill)
  with pytest.raises(OSError, match=r"cannot write .*out\.partial: No space"):
    job.make_file(output, JsonLines)
  monkeypatch.undo()
  job.make_file(output, JsonLines)
  lines = [
    json.loads(line)["line"] for line in output.path.read_text().splitlines()
  ]
  assert lines == list(range(1, 101))


def test_memory_does_not_grow_with_the_file(tmp_path):
  def peak(count):
    source = write(tmp_path / f"{count}.jsonl", ["a text of words"] * count)
    output = Output(tmp_path / f"{count}.out", {"input": str(count)})
    return peak_bytes(lambda: make_job(source).make_file(output, JsonLines))

  peak(100)
  assert peak(10_000) < 1.5 * peak(1000)
