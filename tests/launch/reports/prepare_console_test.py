# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Progress of `launch.prepare`, on a terminal and in a log."""

import io
import json

import rich.console

from data_pipelines.prepare.options import Options
from data_pipelines.store.store import open_store
from data_pipelines.tokenizers.special_tokens import SPECIALS
from data_pipelines.tokenizers.vocabulary_extension import load_extension
from data_pipelines.tokenizers.wordpiece import WordPiece
from launch import prepare
from launch.preflight.policy import DEFAULT
from launch.preflight.store import judge_store, measure_store
from launch.reports import prepare_console
from launch.reports.page import format_number


def test_bar_shows_every_stage_to_its_end():
  output = io.StringIO()
  console = rich.console.Console(file=output, force_terminal=True, width=120)
  with prepare_console._Bar(console) as bar:
    for stage, share in (("learn", None), ("encode", 0.0), ("encode", 0.5)):
      bar(stage, share, 1234)
  shown = output.getvalue()
  assert "learn" in shown
  assert "encode" in shown
  assert "100%" in shown


def test_tokens_a_word_before_and_after_an_extension_are_shown(
  tmp_path, capsys
):
  """On the console and on both pages, from the record of the extension."""
  letters = "abcdefghijklmnopqrstuvwxyz"
  tokens = [*SPECIALS, *letters, *(f"##{letter}" for letter in letters), "."]
  WordPiece(tokens).save(tmp_path / "given")
  text = "".join(f"The thrombocyte number {'ab' * n}.\n" for n in range(1, 60))
  (tmp_path / "text.txt").write_text(text)
  prepare.run(
    Options(
      corpus=str(tmp_path / "text.txt"),
      output=str(tmp_path / "store"),
      documents="blank_line",
      validation="0",
      tokenizer=str(tmp_path / "given"),
      extend_vocab=2,
    )
  )
  record = load_extension(tmp_path / "store" / "tokenizer")
  assert record.before.fertility > record.after.fertility > 1
  before, after = record.before.fertility, record.after.fertility
  assert (
    f"2 tokens added to the vocabulary: {before:.3f} tokens a word before, "
    f"{after:.3f} after\n"
  ) in capsys.readouterr().out
  shown = json.loads((tmp_path / "store" / "report.json").read_text())
  assert shown["tokenizer"]["fertility_before"] == before
  assert shown["tokenizer"]["fertility_after"] == after
  assert shown["tokenizer"]["letters"]["unknown"] == 0
  page = (tmp_path / "store" / "report.html").read_text()
  for figure in (before, after):
    assert f"<td>{format_number(figure)}</td>" in page


def test_fewer_tokens_than_asked_for_are_told(tmp_path, capsys):
  """In numbers, in a warning, and on the page."""
  text = "".join(f"Ka\u0301 \u0915\u0941 word {n}.\n" for n in range(40))
  (tmp_path / "text.txt").write_text(text)
  summary = prepare.run(
    Options(
      corpus=str(tmp_path / "text.txt"),
      output=str(tmp_path / "store"),
      documents="blank_line",
      validation="0",
      vocab_size=500,
    )
  )
  learned = summary.vocab_size
  out = capsys.readouterr().out
  assert f"wordpiece, vocabulary of {learned} (500 asked for); " in out
  page = (tmp_path / "store" / "report.html").read_text()
  assert "to be learned</td><td>500</td>" in page
  figures = measure_store(open_store(tmp_path / "store"))
  assert (figures.asked, figures.learned) == (500, learned)
  assert 0.1 < figures.lost_marks < 0.2
  names = {f.name for f in judge_store(figures, DEFAULT) if f.level == "warn"}
  assert {"learned_vocabulary", "lost_marks"} <= names
  assert "unknown_letters" not in names
