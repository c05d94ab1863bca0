# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses
import errno
import fcntl
import gzip
import hashlib
import itertools
import json
import os
import random
import signal
import subprocess
import sys

import numpy as np
import pytest

from data_pipelines.corpora import documents, filesystems, sentences
from data_pipelines.prepare import encode_pass, prepare, spool, write_pass
from data_pipelines.prepare.options import Options
from data_pipelines.store.store import open_store
from data_pipelines.tokenizers import tokenizers
from data_pipelines.tokenizers.special_tokens import SPECIALS

STORY = "the old man and sea was fishing alone in a small boat of stream"
WORDS = STORY.split()


def make_texts(count, seed=0):
  rng = random.Random(seed)
  sentence = lambda: " ".join(rng.choices(WORDS, k=rng.randint(3, 12))) + "."
  return [
    f"Tale {i}. " + " ".join(
      sentence().capitalize() for _ in range(rng.randint(1, 9))
    )
    for i in range(count)
  ]  # fmt: skip


TEXTS = make_texts(60)


def write_jsonl(path, texts):
  lines = (json.dumps({"text": text}) + "\n" for text in texts)
  path.write_text("".join(lines), encoding="utf-8")
  return str(path)


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory):
  folder = tmp_path_factory.mktemp("vocabulary")
  tokenizers.train(TEXTS, "wordpiece", 80).save(folder)
  return str(folder)


@pytest.fixture
def options(tmp_path, vocabulary):
  return Options(
    corpus=write_jsonl(tmp_path / "corpus.jsonl", TEXTS),
    output=str(tmp_path / "store"),
    validation="0.2",
    tokenizer=vocabulary,
  )


def files(folder):
  return {
    str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
    for path in sorted(folder.rglob("*"))
    if path.is_file()
  }


def stored(split):
  """Each document of a split as the ids of its sentences."""
  ids = np.concatenate(split.read_records(range(split.num_records)))
  lengths = (split.sentences & np.uint16(0x7FFF)).astype(int)
  sentence_ids = np.split(ids, np.cumsum(lengths)[:-1])
  starts = split.documents
  return [
    [sentence.tolist() for sentence in sentence_ids[a:b]]
    for a, b in itertools.pairwise(starts)
  ]


def test_store_holds_every_sentence_in_the_order_of_the_hashes(options):
  summary = prepare.prepare(options)
  store = open_store(options.output)
  tokenizer = tokenizers.load(options.output)
  expected = {"train": [], "validation": []}
  for text in sorted(TEXTS, key=documents.digest):
    split = documents.share(documents.digest(text)) < 0.2
    ids = [ids.tolist() for ids in tokenizer.encode(sentences.split(text))]
    expected["validation" if split else "train"].append(ids)
  for name, found in expected.items():
    assert stored(store.split(name)) == found
    assert summary.splits[name] == {
      "documents": len(found),
      "sentences": sum(map(len, found)),
      "tokens": sum(len(ids) for document in found for ids in document),
    }
  assert 0 < len(expected["validation"]) < 30
  assert store.manifest.tokenizer.sha256 == tokenizer.sha256
  assert store.special_ids["mask"] == tokenizer.mask_id
  assert summary.new
  assert summary.tokens_encoded == sum(
    split["tokens"] for split in summary.splits.values()
  )
  store.verify()


def test_summary_counts_unknown_pieces_and_bytes(options, tmp_path):
  path = write_jsonl(tmp_path / "odd.jsonl", [*TEXTS, "漢 " * 500])
  summary = prepare.prepare(dataclasses.replace(options, corpus=path))
  store = open_store(options.output)
  train = [
    ids for document in stored(store.split("train"))
    for sentence in document for ids in sentence
  ]  # fmt: skip
  unknown = tokenizers.load(options.output).unk_id
  assert summary.unknown_rate == train.count(unknown) / len(train)
  tokens = (
    store.split("train").num_tokens + store.split("validation").num_tokens
  )
  size = sum(path.stat().st_size for path in store.path.rglob("*.*"))
  assert summary.bytes_per_token == pytest.approx(size / tokens)


def test_splits_do_not_depend_on_how_the_corpus_lies_in_files(
  options, tmp_path
):
  prepare.prepare(options)
  (tmp_path / "parts").mkdir()
  shuffled = TEXTS[::-1]
  for i in range(5):
    data = "\n\n".join(shuffled[i * 12 : i * 12 + 12]).encode()
    (tmp_path / "parts" / f"{i}.txt.gz").write_bytes(gzip.compress(data))
  other = dataclasses.replace(
    options,
    corpus=f"{tmp_path}/parts/*.gz",
    documents="blank_line",
    output=str(tmp_path / "other"),
  )
  prepare.prepare(other)
  one, two = (open_store(o.output).manifest for o in (options, other))
  assert one.splits == two.splits
  assert one.source != two.source


def test_learnt_tokenizer_does_not_depend_on_the_files_either(
  options, tmp_path
):
  reverse = write_jsonl(tmp_path / "reverse.jsonl", TEXTS[::-1])
  hashes = set()
  for corpus in (options.corpus, reverse):
    learnt = dataclasses.replace(
      options,
      corpus=corpus,
      output=corpus + ".store",
      tokenizer="wordpiece",
      vocab_size=60,
    )
    summary = prepare.prepare(learnt)
    assert (summary.tokenizer, summary.vocab_size) == ("wordpiece", 60)
    hashes.add(open_store(summary.path).manifest.tokenizer.sha256)
  assert len(hashes) == 1


def test_tokenizer_is_learnt_from_training_documents_only(options, monkeypatch):
  seen = []
  train = tokenizers.train

  def watched(texts, *args, **kwargs):
    seen.extend(texts)
    return train(texts, *args, **kwargs)

  monkeypatch.setattr(tokenizers, "train", watched)
  monkeypatch.setitem(tokenizers.SAMPLE_CHARACTERS, "wordpiece", 4000)
  prepare.prepare(
    dataclasses.replace(options, tokenizer="wordpiece", vocab_size=60)
  )
  digests = [documents.digest(text) for text in seen]
  assert digests == sorted(digests)
  assert all(documents.share(digest) >= 0.2 for digest in digests)
  # Those of the least hashes, up to the size.
  ranked = sorted(
    documents.digest(text)
    for text in TEXTS
    if documents.share(documents.digest(text)) >= 0.2
  )
  assert 3000 < sum(map(len, seen)) <= 4000
  assert digests == ranked[: len(digests)]


def test_workers_make_the_same_bytes(options, tmp_path, monkeypatch):
  prepare.prepare(options)
  monkeypatch.setattr("data_pipelines.prepare.encoding._BATCH_CHARACTERS", 500)
  other = dataclasses.replace(
    options, workers=2, output=str(tmp_path / "other")
  )
  prepare.prepare(other)
  assert files(tmp_path / "store") == files(tmp_path / "other")


@pytest.mark.parametrize("calls", [1, 2, 25, 59, 61, 75, 121])
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

  if calls < 121:
    with pytest.raises(KeyboardInterrupt):
      prepare.prepare(options, interrupt)
    assert not (tmp_path / "store").exists()
    assert (tmp_path / "store.partial" / "journal.json").is_file()
    # What a kill in the middle of a write leaves, too.
    for bucket in (tmp_path / "store.partial" / "spool").iterdir():
      with bucket.open("ab") as file:
        file.write(b"half a record")
  summary = prepare.prepare(options)
  assert not (tmp_path / "store.partial").exists()
  assert files(tmp_path / "store") == files(tmp_path / "expected")
  if 25 <= calls <= 75:  # something was saved, and not encoded again
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


def test_a_killed_run_keeps_its_learnt_tokenizer(
  options, tmp_path, monkeypatch
):
  learnt = dataclasses.replace(options, tokenizer="wordpiece", vocab_size=61)
  fields = ("corpus", "output", "documents", "sentences", "validation")
  arguments = [getattr(learnt, field) for field in (*fields, "tokenizer")]
  run = subprocess.run(
    [sys.executable, "-c", KILLED, *arguments],
    check=False,
    capture_output=True,
    text=True,
  )
  assert run.returncode == -signal.SIGKILL, run.stderr
  kept = tokenizers.load(tmp_path / "store.partial").sha256
  monkeypatch.setattr(tokenizers, "train", None)
  prepare.prepare(learnt)
  assert open_store(learnt.output).manifest.tokenizer.sha256 == kept


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
  prepare.prepare(dataclasses.replace(options, output=str(tmp_path / "empty")))
  open_store(tmp_path / "empty")


def test_unfinished_work_of_another_recipe_needs_restart(options, tmp_path):
  def interrupt(stage, share, tokens):
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


BAD = {
  "utf8": (b'{"text": "\xff"}\n', r"corpus.jsonl:61: not UTF-8"),
  "json": (b'{"text": \n', r"corpus.jsonl:61: not JSON"),
  "field": (b'{"title": "x"}\n', r'corpus.jsonl:61: no "text" field'),
}


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("learn", [True, False])
def test_bad_records_leave_nothing_behind_or_are_counted(
  kind, learn, options, tmp_path
):
  data, message = BAD[kind]
  with open(options.corpus, "ab") as file:
    file.write(data)
  if learn:
    options = dataclasses.replace(options, tokenizer="wordpiece", vocab_size=60)
  before = sorted(tmp_path.iterdir())
  with pytest.raises(ValueError, match=message):
    prepare.prepare(options)
  assert sorted(tmp_path.iterdir()) == before
  skipping = dataclasses.replace(options, skip_bad_records=True)
  summary = prepare.prepare(skipping)
  assert summary.counts["skipped_records"] == 1
  assert sum(split["documents"] for split in summary.splits.values()) == 60


@pytest.mark.parametrize("learn", [True, False])
def test_a_corpus_without_text_is_refused(learn, options, tmp_path):
  texts = ["", " \n"] if learn else ["", "\u200b"]
  corpus = write_jsonl(tmp_path / "empty.jsonl", texts)
  options = dataclasses.replace(options, corpus=corpus)
  if learn:
    options = dataclasses.replace(options, tokenizer="wordpiece")
  with pytest.raises(ValueError, match=r"corpus .*empty.jsonl has no text"):
    prepare.prepare(options)
  assert not (tmp_path / "store.partial").exists()


def test_empty_documents_are_counted(options, tmp_path):
  corpus = write_jsonl(tmp_path / "some.jsonl", ["", *TEXTS, " ", "\u200b"])
  summary = prepare.prepare(dataclasses.replace(options, corpus=corpus))
  assert summary.counts["empty_documents"] == 3
  assert sum(split["documents"] for split in summary.splits.values()) == 60


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
    OSError, match=r"cannot write .*: No space left .* which continues"
  ):
    prepare.prepare(options)
  assert not (tmp_path / "store").exists()
  monkeypatch.setattr(spool.Spool, "flush", flush)
  prepare.prepare(options)
  assert files(tmp_path / "store") == files(tmp_path / "expected")


def test_a_disk_that_is_full_while_shards_are_written(
  options, tmp_path, monkeypatch
):
  prepare.prepare(dataclasses.replace(options, output=f"{tmp_path}/expected"))
  finish = write_pass.SplitWriter.finish

  def full(self):
    # What array_record raises, seen on a full tmpfs.
    finish(self)
    raise RuntimeError("write() failed: No space left on device; writing X")

  with monkeypatch.context() as patch:
    patch.setattr(write_pass.SplitWriter, "finish", full)
    with pytest.raises(OSError, match="No space left on device; mend that"):
      prepare.prepare(options)
  assert not (tmp_path / "store").exists()
  summary = prepare.prepare(options)
  assert summary.tokens_encoded == 0  # all was in the spool
  assert files(tmp_path / "store") == files(tmp_path / "expected")


def test_validation_takes_a_share_but_never_too_few(options, tmp_path):
  for count, expected in ((2, 1), (3, 1), (4, 2), (60, 2)):
    corpus = write_jsonl(tmp_path / f"{count}.jsonl", TEXTS[:count])
    few = dataclasses.replace(
      options, corpus=corpus, output=corpus + ".store", validation="1e-9"
    )
    splits = prepare.prepare(few).splits
    assert splits["validation"]["documents"] == expected
    assert splits["train"]["documents"] == count - expected
  none = dataclasses.replace(options, validation="0")
  assert list(prepare.prepare(none).splits) == ["train"]


@pytest.mark.parametrize(
  ("texts", "validation"),
  [(["one"], "0.05"), (["one", "one"], "0.05"), (TEXTS[:9], "0.9999999")],
)
def test_splits_without_a_document_are_refused(
  texts, validation, options, tmp_path
):
  corpus = write_jsonl(tmp_path / "few.jsonl", texts)
  few = dataclasses.replace(options, corpus=corpus, validation=validation)
  with pytest.raises(ValueError, match="leaves nothing to train or to valid"):
    prepare.prepare(few)
  assert not (tmp_path / "store.partial").exists()


def test_validation_can_be_files_of_its_own(options, tmp_path):
  held_out = [*make_texts(5, seed=1), TEXTS[3]]
  path = write_jsonl(tmp_path / "held_out.jsonl", held_out)
  summary = prepare.prepare(dataclasses.replace(options, validation=path))
  assert summary.splits["validation"]["documents"] == 6
  assert summary.splits["train"]["documents"] == 60
  assert summary.counts["shared_documents"] == 1


def test_manifest_knows_no_place_and_no_time(options, tmp_path):
  prepare.prepare(options)
  text = (tmp_path / "store" / "manifest.json").read_text(encoding="utf-8")
  assert str(tmp_path) not in text
  assert "corpus.jsonl" not in text


@pytest.mark.parametrize(
  ("change", "message"),
  [
    ({"sentences": "words"}, "sentences='words'; choose from"),
    ({"documents": "line"}, "documents='line'; choose from"),
    ({"validation": "1.5"}, "validation=1.5; give a share"),
    ({"validation": "nan"}, "validation=nan; give a share"),
    ({"validation": "/nowhere/*.txt"}, "matches no file"),
    ({"corpus": "/nowhere.txt"}, "/nowhere.txt does not exist"),
    ({"tokenizer": "bpe"}, "tokenizer bpe does not exist"),
    ({"vocab_size": 7}, "vocab_size=7, but .* has 80 tokens"),
    ({"workers": -1}, "workers=-1"),
  ],
)
def test_mistakes_in_the_options_are_told_at_once(
  change, message, options, tmp_path
):
  before = sorted(tmp_path.iterdir())
  with pytest.raises(ValueError, match=message):
    prepare.prepare(dataclasses.replace(options, **change))
  assert sorted(tmp_path.iterdir()) == before


def test_vocabulary_without_a_special_piece_is_refused(options, tmp_path):
  path = tmp_path / "vocab.txt"
  path.write_text("\n".join(SPECIALS[:-1]), encoding="utf-8")
  with pytest.raises(ValueError, match=r"vocab.txt has no \[MASK\]"):
    prepare.prepare(dataclasses.replace(options, tokenizer=str(path)))


def test_sentencepiece_makes_a_store_too(options, tmp_path):
  spm = dataclasses.replace(
    options, tokenizer="sentencepiece", vocab_size=50, sentences="lines"
  )
  summary = prepare.prepare(spm)
  assert (summary.tokenizer, summary.vocab_size) == ("sentencepiece", 50)
  assert summary.unknown_rate == 0
  tokenizer = tokenizers.load(options.output)
  store = open_store(options.output)
  store.check_tokenizer(tokenizer.sha256)
  first = min(
    (text for text in TEXTS
     if documents.share(documents.digest(text)) >= 0.2),
    key=documents.digest,
  )  # fmt: skip
  assert tokenizer.decode(stored(store.split("train"))[0][0]) == first.lower()


def test_books_become_a_store(options, real_data, tmp_path):
  books = real_data / "books" / "valid-00000-of-00001.jsonl.xz"
  vocabulary = real_data / "vocab" / "bert-base-uncased-vocab.txt"
  summary = prepare.prepare(
    dataclasses.replace(
      options,
      corpus=str(books),
      tokenizer=str(vocabulary),
    )
  )
  tokens = sum(split["tokens"] for split in summary.splits.values())
  assert tokens > 400_000
  assert summary.unknown_rate < 1e-4
  # Two bytes an id, and the index, padding and vocabulary of a small store.
  assert 2 < summary.bytes_per_token < 6


def test_a_journal_of_other_code_is_refused_in_one_line(options, tmp_path):
  def interrupt(stage, share, tokens):
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


def test_what_may_be_read_another_time_loses_nothing(
  options, tmp_path, monkeypatch
):
  monkeypatch.setattr(encode_pass, "_SAVE_BYTES", 700)
  monkeypatch.setattr("data_pipelines.prepare.encoding._BATCH_CHARACTERS", 300)
  whole = encode_pass._hashed

  def broken(corpus, *, skip):
    for number, document in enumerate(whole(corpus, skip=skip)):
      if number == 40:
        raise filesystems.ReadError("cannot read gs://b: the line is cut")
      yield document

  with monkeypatch.context() as patch:
    patch.setattr(encode_pass, "_hashed", broken)
    with pytest.raises(ValueError, match="the line is cut"):
      prepare.prepare(options)
  summary = prepare.prepare(options)
  everything = sum(split["tokens"] for split in summary.splits.values())
  assert 0 < summary.tokens_encoded < everything


def test_text_read_in_another_format_is_another_corpus(options, tmp_path):
  prepare.prepare(options)
  renamed = tmp_path / "corpus.txt"
  os.rename(options.corpus, renamed)
  with pytest.raises(ValueError, match="has a store with corpus"):
    prepare.prepare(dataclasses.replace(options, corpus=str(renamed)))


def test_encoding_elsewhere_forgets_what_was_encoded_here(
  options, tmp_path, monkeypatch
):
  """A kill between the two must not mix their buckets."""
  prepare.prepare(dataclasses.replace(options, output=f"{tmp_path}/expected"))
  monkeypatch.setattr(encode_pass, "_SAVE_BYTES", 700)
  monkeypatch.setattr("data_pipelines.prepare.encoding._BATCH_CHARACTERS", 300)
  left = 40

  def interrupt(stage, share, tokens):
    nonlocal left
    left -= 1
    if not left:
      raise KeyboardInterrupt

  with pytest.raises(KeyboardInterrupt):
    prepare.prepare(options, interrupt)

  def external(corpus, encoder, buckets):
    for path in buckets:
      path.write_bytes(b"half a record")
    raise KeyboardInterrupt

  with monkeypatch.context() as patch:
    patch.setattr(prepare, "_external_encoder", lambda plan: external)
    with pytest.raises(KeyboardInterrupt):
      prepare.prepare(options)
  prepare.prepare(options)
  assert files(tmp_path / "store") == files(tmp_path / "expected")
