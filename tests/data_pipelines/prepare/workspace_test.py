# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Laws of the folder in which a store is made: kills, reruns, other stores."""

import dataclasses
import errno
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys

import pytest

from data_pipelines.prepare import encode_pass, prepare, spool, workspace
from data_pipelines.store.store import open_store
from data_pipelines.tokenizers import tokenizers
from tests.testing.prepared import TEXTS, files, write_jsonl


@pytest.mark.parametrize("calls", [1, 62, 63, 86, 120, 122, 136, 182])
def test_an_interrupted_run_goes_on_and_makes_the_same_bytes(
  calls, options, tmp_path, monkeypatch
):
  expected = dataclasses.replace(options, output=str(tmp_path / "expected"))
  prepare.prepare(expected)
  monkeypatch.setattr(encode_pass, "_SAVE_BYTES", 700)
  monkeypatch.setattr("data_pipelines.prepare.encoding._BATCH_CHARACTERS", 300)
  left = calls

  def interrupt(stage, share, tokens):
    nonlocal left
    left -= 1
    if not left:
      raise KeyboardInterrupt

  if calls < 182:
    with pytest.raises(KeyboardInterrupt):
      prepare.prepare(options, interrupt)
    assert not (tmp_path / "store").exists()
    # The first 61 calls read what is learned from.
    journal = tmp_path / "store.partial" / "journal.json"
    assert journal.is_file() == (calls > 61)
    # What a kill in the middle of a write leaves, too.
    for bucket in (tmp_path / "store.partial").glob("spool/*"):
      with bucket.open("ab") as file:
        file.write(b"half a record")
  stages = []
  summary = prepare.prepare(options, lambda *given: stages.append(given[0]))
  assert (stages[:1] == ["go on with store.partial"]) == (61 < calls < 182)
  assert not (tmp_path / "store.partial").exists()
  assert files(tmp_path / "store") == files(tmp_path / "expected")
  if 86 <= calls <= 136:  # something was saved, and not encoded again
    everything = sum(split["tokens"] for split in summary.splits.values())
    assert summary.tokens_encoded < everything


KILLED = """
import os, signal, sys
from data_pipelines.prepare import encode_pass, options, prepare
encode_pass._SAVE_BYTES = 700
calls = 0
def kill(*_):
  global calls
  calls += 1
  if calls == 100:
    os.kill(os.getpid(), signal.SIGKILL)
prepare.prepare(options.Options(*sys.argv[1:], vocab_size=61), kill)
"""


def test_a_killed_run_keeps_its_learned_tokenizer(
  options, tmp_path, monkeypatch
):
  learned = dataclasses.replace(options, tokenizer="wordpiece", vocab_size=61)
  fields = ("corpus", "output", "documents", "sentences", "validation")
  arguments = [getattr(learned, field) for field in (*fields, "tokenizer")]
  run = subprocess.run(
    [sys.executable, "-c", KILLED, *arguments],
    check=False,
    capture_output=True,
    text=True,
  )
  assert run.returncode == -signal.SIGKILL, run.stderr
  kept = tokenizers.load(tmp_path / "store.partial").sha256
  monkeypatch.setattr(tokenizers, "train", None)
  prepare.prepare(learned)
  assert open_store(learned.output).manifest.tokenizer.sha256 == kept


def test_a_kill_after_the_store_is_in_place_leaves_nothing_behind(
  options, tmp_path, monkeypatch
):
  """The spooled text, which may be large, would stay for good."""
  left, aside = tmp_path / "store.partial", tmp_path / "aside"
  commit = workspace.Workspace.commit

  def commit_and_keep(self):
    commit(self)
    shutil.copytree(left, aside)

  monkeypatch.setattr(workspace.Workspace, "commit", commit_and_keep)
  prepare.prepare(options)
  aside.rename(left)
  assert (left / "spool").is_dir()
  before = files(tmp_path / "store")
  with (left / "lock").open("w") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    assert not prepare.prepare(options).new
    assert (left / "spool").is_dir()  # the run that made the store lives
  assert not prepare.prepare(options).new
  assert not left.exists()
  assert files(tmp_path / "store") == before


def test_work_that_is_half_deleted_is_known_as_ours(tmp_path, monkeypatch):
  """A folder without the lock would be taken for a user's."""
  work = workspace.Workspace(tmp_path / "store", {}, restart=False)

  def kill(folder):
    (folder / "lock").unlink(missing_ok=True)
    raise KeyboardInterrupt

  work.__enter__()
  (work.path / "spool").mkdir()
  with monkeypatch.context() as patch:
    patch.setattr(shutil, "rmtree", kill)
    with pytest.raises(KeyboardInterrupt):
      work.__exit__(None)
  with work:
    assert not (work.path / "spool").exists()
  assert not work.path.exists()


def test_a_finished_store_is_left_as_it_is(options, tmp_path):
  prepare.prepare(options)
  before = {
    path: path.stat().st_mtime_ns for path in (tmp_path / "store").rglob("*")
  }
  summary = prepare.prepare(options)
  assert not summary.new
  assert summary.seconds == summary.tokens_encoded == 0
  after = {path: path.stat().st_mtime_ns for path in before}
  assert after == before


@pytest.mark.parametrize(
  ("change", "message"),
  [
    ({"sentences": "lines"}, 'with sentences "segment", not "lines"'),
    ({"validation": "0.3"}, "with validation 0.2, not 0.3"),
    ({"corpus": "other"}, "with corpus"),
    ({"tokenizer": "wordpiece"}, "with tokenizer"),
  ],
)
def test_another_store_is_never_written_over(
  change, message, options, tmp_path
):
  prepare.prepare(options)
  if "corpus" in change:
    change = {"corpus": write_jsonl(tmp_path / "b.jsonl", TEXTS[:-1])}
  before = files(tmp_path / "store")
  with pytest.raises(ValueError, match=f"has a store {message}"):
    prepare.prepare(dataclasses.replace(options, **change))
  assert files(tmp_path / "store") == before
  assert not (tmp_path / "store.partial").exists()


def test_outputs_that_are_something_else_are_refused(options, tmp_path):
  (tmp_path / "file").write_text("x", encoding="utf-8")
  (tmp_path / "full").mkdir()
  (tmp_path / "full" / "x").touch()
  for name in ("file", "full"):
    with pytest.raises(ValueError, match=f"{name} exists and is not a store"):
      prepare.prepare(dataclasses.replace(options, output=str(tmp_path / name)))
  calls = []
  with pytest.raises(ValueError, match="nosuch://bucket/store: Protocol"):
    prepare.prepare(
      dataclasses.replace(options, output="nosuch://bucket/store"),
      lambda *call: calls.append(call),
    )
  assert not calls  # told before anything is read
  with pytest.raises(OSError, match=r"cannot write .*: Not a directory"):
    prepare.prepare(
      dataclasses.replace(options, output=str(tmp_path / "file" / "store"))
    )
  (tmp_path / "empty").mkdir()
  (tmp_path / "link").symlink_to(tmp_path / "empty")
  prepare.prepare(dataclasses.replace(options, output=str(tmp_path / "link")))
  open_store(tmp_path / "empty")


def test_unfinished_work_of_another_recipe_needs_restart(options, tmp_path):
  def interrupt(stage, share, tokens):
    if tokens:
      raise KeyboardInterrupt

  with pytest.raises(KeyboardInterrupt):
    prepare.prepare(options, interrupt)
  lines = dataclasses.replace(options, sentences="lines")
  with pytest.raises(ValueError, match=r"was begun with sentences .*--restart"):
    prepare.prepare(lines)
  assert (tmp_path / "store.partial").exists()
  prepare.prepare(dataclasses.replace(lines, restart=True))
  assert not (tmp_path / "store.partial").exists()
  recipe = open_store(options.output).manifest.recipe
  assert recipe["sentences"] == "lines"


def test_two_runs_never_share_a_folder(options, tmp_path):
  (tmp_path / "store.partial").mkdir()
  with (tmp_path / "store.partial" / "lock").open("w") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    with pytest.raises(ValueError, match="being written by another run"):
      prepare.prepare(options)
    assert (tmp_path / "store.partial").exists()
  prepare.prepare(options)


@pytest.mark.parametrize("after", [0, 1, 3])
def test_a_full_disk_is_one_line_and_a_rerun_goes_on(
  after, options, tmp_path, monkeypatch
):
  prepare.prepare(dataclasses.replace(options, output=f"{tmp_path}/expected"))
  monkeypatch.setattr(encode_pass, "_SAVE_BYTES", 1500)
  monkeypatch.setattr("data_pipelines.prepare.encoding._BATCH_CHARACTERS", 300)
  flush = spool.Spool.flush
  left = after

  def full(self):
    nonlocal left
    left -= 1
    if left < 0:
      # Half of the buckets still find room, but the journal hears of none.
      for buffer in self._buffers[32:]:
        buffer.clear()
      flush(self)
      raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return flush(self)

  monkeypatch.setattr(spool.Spool, "flush", full)
  with pytest.raises(
    OSError, match=r"cannot write .*: No space left .* to continue"
  ):
    prepare.prepare(options)
  assert not (tmp_path / "store").exists()
  monkeypatch.setattr(spool.Spool, "flush", flush)
  prepare.prepare(options)
  assert files(tmp_path / "store") == files(tmp_path / "expected")


def test_a_journal_of_other_code_is_refused_in_one_line(options, tmp_path):
  def interrupt(stage, share, tokens):
    if tokens:
      raise KeyboardInterrupt

  with pytest.raises(KeyboardInterrupt):
    prepare.prepare(options, interrupt)
  journal = tmp_path / "store.partial" / "journal.json"
  state = json.loads(journal.read_text())
  state["made_by"]["tokenizers"] = "0.1"
  journal.write_text(json.dumps(state))
  with pytest.raises(ValueError, match=r'other code .*"0.1".* give --restart'):
    prepare.prepare(options)
  assert journal.exists()
  prepare.prepare(dataclasses.replace(options, restart=True))


def test_text_read_in_another_format_is_another_corpus(options, tmp_path):
  prepare.prepare(options)
  renamed = tmp_path / "corpus.txt"
  os.rename(options.corpus, renamed)
  with pytest.raises(ValueError, match="has a store with corpus"):
    prepare.prepare(dataclasses.replace(options, corpus=str(renamed)))


def test_a_run_that_waited_finds_the_store_of_the_other(
  options, tmp_path, monkeypatch
):
  """Between the look at OUTPUT and the lock another run may finish."""
  expected = dataclasses.replace(options, output=f"{tmp_path}/expected")
  prepare.prepare(expected)
  enter = workspace.Workspace.__enter__

  def late(self):
    monkeypatch.setattr(workspace.Workspace, "__enter__", enter)
    prepare.prepare(options)
    return enter(self)

  monkeypatch.setattr(workspace.Workspace, "__enter__", late)
  summary = prepare.prepare(options)
  assert not summary.new
  assert not (tmp_path / "store.partial").exists()
  assert files(tmp_path / "store") == files(tmp_path / "expected")


def test_a_lock_of_a_folder_that_was_removed_is_none(tmp_path, monkeypatch):
  work = workspace.Workspace(tmp_path / "store", {}, restart=False)
  open_lock = workspace.Workspace._open_lock
  opened = []

  def removed(self):
    opened.append(open_lock(self))
    if len(opened) == 1:
      shutil.rmtree(self.path)
    return opened[-1]

  monkeypatch.setattr(workspace.Workspace, "_open_lock", removed)
  with work:
    assert len(opened) == 2
    assert (work.path / "lock").exists()


def test_a_store_of_an_earlier_version_is_named_and_kept(options, tmp_path):
  prepare.prepare(options)
  path = tmp_path / "store" / "manifest.json"
  old = path.read_text().replace('"version": 3', '"version": 2')
  path.write_text(old)
  with pytest.raises(ValueError, match=r"format version 2, .* can be trained"):
    prepare.prepare(options)
  assert path.read_text() == old
