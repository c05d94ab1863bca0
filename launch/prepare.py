# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Text to a prepared store.

    python -m launch.prepare --corpus=stdlib --output=runs/store
    python -m launch.prepare --corpus='books/*.jsonl.xz' --output=runs/books

A corpus is `stdlib` (the running Python's own prose), or files, globs, folders
and bucket paths of .txt and .jsonl (`text` field), each also .gz, .xz or .zst,
and of .parquet, or tfds:NAME:SPLIT, comma-separated.
In the end, and when the same command is run again, it tells what the store
holds, and what its rows are like in each input format and length.
"""

import dataclasses
from collections.abc import Sequence

import rich.console
from absl import flags

from bertjax import config
from data_pipelines.corpora import corpus, sentences
from data_pipelines.prepare.options import DEDUPLICATE, Options
from data_pipelines.store import remote_store
from data_pipelines.store.store import open_store
from data_pipelines.store.summary import Summary
from data_pipelines.tokenizers import tokenizers
from launch import cli
from launch.reports import store_report
from launch.reports.prepare_console import prepare_shown, show_store


def run(options: Options) -> Summary:
  """Make the store, print what it holds, and write its report.

  Raises:
    ValueError, OSError: see `data_pipelines.prepare.prepare.prepare`.
  """
  console = rich.console.Console(highlight=False)
  summary = prepare_shown(options, console)
  state = "" if summary.new else ", which was there already"
  console.print(f"store {options.output}{state}", soft_wrap=True)
  store = open_store(options.output)
  show_store(console, summary, store)
  report = store_report.write(store.path)
  if remote_store.is_remote(options.output):
    remote_store.add(store.path, report, options.output)
  console.print(f"report {report[0]}", soft_wrap=True)
  return summary


def define_flags() -> None:
  """Define a flag for each field of `Options`.

  Not at import: other launchers call `run` and have flags of their own.
  """
  _define_source_flags()
  text, enum, yes, number = (
    flags.DEFINE_string,
    flags.DEFINE_enum,
    flags.DEFINE_bool,
    flags.DEFINE_integer,
  )
  text("output", None, "Folder of the store.", required=True)
  enum(
    "sentences",
    "segment",
    list(sentences.MODES),
    "Undo hard wraps and find sentence ends, or take lines as they are.",
  )
  text(
    "tokenizer",
    "wordpiece",
    f"{', '.join(tokenizers.KINDS)} to learn one, or a vocab.txt, a "
    "spiece.model, or a folder with one, as of a store or a bundle.",
  )
  number("vocab_size", 0, "Pieces of a new tokenizer; 0 takes 30,522.")
  yes("cased", False, "A new tokenizer tells capitals from small letters.")
  number(
    "extend_vocab",
    0,
    "Pieces of this corpus to add to the WordPiece vocabulary given; unused "
    "slots are filled first.",
  )
  yes("restart", False, "Forget what a run has left in OUTPUT.partial.")
  number("workers", 0, "Processes that encode; 0 encodes in this one.")
  text(
    "runner",
    "",
    "Encode with Apache Beam on this runner, as DirectRunner or "
    "DataflowRunner; unknown flags are passed on to it.",
  )


def _define_source_flags() -> None:
  text, enum, yes, number = (
    flags.DEFINE_string,
    flags.DEFINE_enum,
    flags.DEFINE_bool,
    flags.DEFINE_integer,
  )
  text(
    "corpus",
    None,
    "stdlib, files, globs, folders, bucket paths or tfds:NAME:SPLIT, "
    "comma-separated.",
    required=True,
  )
  enum(
    "documents",
    "file",
    list(corpus.DOCUMENTS),
    "What a document of a .txt file is: the file, or what stands between two "
    "blank lines.",
  )
  text("text_field", "text", "Name of the text in .jsonl and .parquet.")
  text("tfds_data_dir", "", "Where TFDS datasets lie; their default if empty.")
  text(
    "validation",
    "0.05",
    "Share of the documents, chosen by hash (0 for none), or a corpus.",
  )
  number("min_characters", 0, "Shorter documents are left out.")
  enum(
    "deduplicate",
    "none",
    list(DEDUPLICATE),
    "Leave out documents that stand there already word for word, and their "
    "repeated paragraphs.",
  )
  yes("skip_bad_records", False, "Count records that cannot be read, go on.")


def main(arguments: Sequence[str]) -> None:
  """Prepare what the flags say."""
  names = {field.name for field in dataclasses.fields(Options)}
  values = {
    name: flags.FLAGS[name].value for name in sorted(names & set(flags.FLAGS))
  }
  options = config.from_mapping(Options, values)
  run(dataclasses.replace(options, beam_options=tuple(arguments[1:])))


if __name__ == "__main__":
  define_flags()
  cli.run(main, passes_on="runner")
