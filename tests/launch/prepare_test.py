# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses
import functools
import json
import re

import pytest
import sentencepiece

from data_pipelines.prepare.options import Options
from data_pipelines.rows import format_report
from data_pipelines.store.store import open_store
from launch import prepare
from launch.preflight import settle, text
from tests.testing.commands import run_command

TEXTS = [f"Tale {i}. The old man fished. He caught {i} fish." for i in range(9)]


@pytest.fixture
def corpus(tmp_path):
  path = tmp_path / "corpus.jsonl"
  lines = [json.dumps({"text": text}) + "\n" for text in TEXTS]
  path.write_text("".join(lines), encoding="utf-8")
  return path


command = functools.partial(run_command, "launch.prepare")


def test_command_prepares_and_sums_up(corpus, tmp_path):
  done = command(
    f"--corpus={corpus}",
    f"--output={tmp_path}/store",
    "--vocab_size=60",
    "--validation=0.3",
  )
  assert done.returncode == 0, done.stderr
  store = open_store(tmp_path / "store")
  for part in (
    "learn wordpiece",
    f"{store.split('train').num_tokens:,} ",
    "tokens/s",
    "unknown",
    "bytes per token on disk",
    "segment_pair/nsp      128",
    "doc_sentences/off     512",
  ):
    assert part in done.stdout, part
  assert "\x1b" not in done.stdout  # no control codes in a log


def test_a_store_is_measured_once(corpus, tmp_path, monkeypatch):
  """For the console, for the report and for the findings."""
  measured = []
  planner, sentences = format_report.Planner, text.measure_sentences

  def make_planner(*given, **named):
    measured.append((named["objective"], named["seq_length"]))
    return planner(*given, **named)

  def measure_sentences(store):
    measured.append("sentences")
    return sentences(store)

  monkeypatch.setattr(format_report, "Planner", make_planner)
  monkeypatch.setattr(text, "measure_sentences", measure_sentences)
  prepare.run(
    Options(
      corpus=str(corpus),
      output=str(tmp_path / "store"),
      vocab_size=60,
      validation="0.3",
    )
  )
  formats = len(format_report.FORMATS) * len(format_report.SEQ_LENGTHS)
  assert len(measured) == len(set(measured)) == formats + 1


@pytest.mark.parametrize(
  ("arguments", "message"),
  [
    (["--corpus=nowhere.txt"], "corpus nowhere.txt does not exist"),
    (["--corpus=stdlib", "--vocabsize=9"], "vocabsize"),
    (["--corpus=stdlib", "--sentences=words"], "sentences"),
  ],
)
def test_mistakes_are_one_line_and_exit_code_1(arguments, message, tmp_path):
  done = command(*arguments, f"--output={tmp_path}/store")
  assert done.returncode == 1
  assert done.stderr.startswith("error: ")
  assert done.stderr.count("\n") == 1
  assert message in done.stderr
  assert list(tmp_path.iterdir()) == []


def test_a_second_run_prints_what_the_store_holds(corpus, tmp_path, capsys):
  options = Options(
    corpus=str(corpus), output=str(tmp_path / "store"), vocab_size=60
  )
  first = prepare.run(options)
  assert "exists already" not in capsys.readouterr().out
  again = prepare.run(options)
  assert "exists already" in capsys.readouterr().out
  timeless = dict(new=True, seconds=0.0, tokenizer_seconds=0.0)
  assert dataclasses.replace(
    first, tokens_encoded=0, **timeless
  ) == dataclasses.replace(again, **timeless)


def test_a_model_without_tokenizer_json_is_named(corpus, tmp_path, capsys):
  sentencepiece.SentencePieceTrainer.train(
    sentence_iterator=iter(TEXTS),
    model_prefix=str(tmp_path / "words"),
    model_type="word",
    vocab_size=30,
    hard_vocab_limit=False,
    pad_id=3,
    control_symbols=["<cls>", "<sep>", "<mask>"],
    minloglevel=2,
  )
  options = Options(
    corpus=str(corpus),
    output=str(tmp_path / "store"),
    tokenizer=str(tmp_path / "words.model"),
  )
  prepare.run(options)
  shown = capsys.readouterr().out
  assert "sentencepiece has no tokenizer.json" in shown
  assert "neither a unigram nor a BPE model" in shown


def test_console_and_report_name_what_a_folder_holds_beside_the_text(
  corpus, tmp_path, capsys
):
  folder = tmp_path / "folder"
  folder.mkdir()
  corpus.rename(folder / "A.JSONL")
  (folder / "b.md").write_text("no text")
  output = tmp_path / "store"
  prepare.run(Options(corpus=str(folder), output=str(output), vocab_size=60))
  line = "passed over in the folders: 1 .md; name text among these"
  assert line in capsys.readouterr().out
  page = (output / "report.html").read_text(encoding="utf-8")
  assert ".md, beside the text and not read" in page


def test_a_text_that_is_all_unknown_fails_and_may_be_allowed(tmp_path):
  """The store stands either way, and says what was allowed."""
  corpus = tmp_path / "corpus.jsonl"
  lines = [json.dumps({"text": f"鯨 魚 {i}。 海 {i}。"}) for i in range(40)]
  corpus.write_text("\n".join(lines), encoding="utf-8")
  vocabulary = tmp_path / "vocab.txt"
  specials = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
  vocabulary.write_text("\n".join((*specials, "fish")), encoding="utf-8")
  flags = (
    f"--corpus={corpus}",
    f"--output={tmp_path}/store",
    f"--tokenizer={vocabulary}",
    "--validation=0.3",
  )
  failed = command(*flags)
  assert failed.returncode == 1
  (error,) = [
    line for line in failed.stderr.splitlines() if line.startswith("error:")
  ]
  assert "unknown" in error
  assert "--allow=" in error
  assert open_store(tmp_path / "store").split("train").num_tokens
  allowed = re.search(r"--allow=([\w,]+)", error)
  assert allowed
  done = command(*flags, f"--allow={allowed[1]}")
  assert done.returncode == 0, done.stderr
  record = (tmp_path / "store" / settle.RECORD).read_text(encoding="utf-8")
  assert "unknown_tokens" in allowed[1]
  assert "unknown_tokens" in record
