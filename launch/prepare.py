# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Prepare a corpus: learn a tokenizer, encode the text, and write a store.

    python -m launch.prepare --corpus=stdlib --output=runs/store
    python -m launch.prepare --corpus='books/*.jsonl.xz' --output=runs/books

`--corpus` is a comma-separated list of `stdlib` (docstrings and comments of the
running Python), of files, folders and globs, also in buckets, and of data sets
as `tfds:NAME:SPLIT` or `hf:NAME:SPLIT`. Files are

    .txt                       text; see --documents
    .jsonl .ndjson .json       an object a line, its text in --text_field
    .csv .tsv                  its first line names the columns
    wiki_00                    what WikiExtractor writes, as text and as JSON
    .parquet .arrow            the latter also as datasets.save_to_disk has it

all but the last line also with .gz, .xz, .zst or .bz2. A folder stands for all
of these below it, but for .json that is not compressed, which is most often no
text. What it passes over is counted by suffix, and what this program or Hugging
Face's wrote (stores, bundles, models, tokenizers) is never text.
At the end, and whenever the same command is run again, it prints what the store
holds and statistics of its rows for each input format and sequence length.
"""

import dataclasses
from collections.abc import Sequence

import rich.console
from absl import flags

from bertjax import config
from data_pipelines.corpora import compression, corpus, reading, sentences
from data_pipelines.prepare.options import Options
from data_pipelines.rows.format_report import report_formats
from data_pipelines.store import remote_store
from data_pipelines.store.store import open_store
from data_pipelines.store.summary import Summary
from data_pipelines.tokenizers import tokenizers
from launch import cli
from launch.commands import output_paths
from launch.preflight import policy as policies
from launch.preflight.policy import DEFAULT, Policy
from launch.preflight.rows import judge_rows
from launch.preflight.settle import settle, write_record
from launch.preflight.store import judge_store, measure_store
from launch.reports import store_report
from launch.reports.prepare_console import prepare_with_progress, show_store


def run(options: Options, policy: Policy = DEFAULT) -> Summary:
  """Make the store, print what it holds, write its report, and judge it.

  A store that fails stands nevertheless: it can be looked at, and a run can
  allow what failed.

  Raises:
    ValueError, OSError: see `data_pipelines.prepare.prepare.prepare`.
    ValueError: a finding fails that `policy` does not allow.
  """
  if options.tokenizer not in tokenizers.KINDS:
    read = {"tokenizer": options.tokenizer}
    output_paths.check_outside("output", options.output, read)
  console = rich.console.Console(highlight=False)
  summary = prepare_with_progress(options, console)
  state = "" if summary.new else " exists already; nothing was prepared"
  console.print(f"store {options.output}{state}", soft_wrap=True)
  store = open_store(options.output)
  # The console, the report and the findings are of one measurement.
  formats, figures = [*report_formats(store)], measure_store(store)
  show_store(console, summary, store, formats)
  report = store_report.write(store.path, figures, formats)
  findings = [
    *judge_store(figures, policy),
    *judge_rows(store_report.read(store.path)["formats"], policy),
  ]
  report += write_record(store.path, findings, policy)
  if remote_store.is_remote(options.output):
    remote_store.add(store.path, report, options.output)
  console.print(f"report {report[0]}", soft_wrap=True)
  settle(findings, policy)
  return summary


def define_flags() -> None:
  """Define a flag for each field of `Options`.

  A function, because other commands call `run` and define their own flags.
  """
  _define_source_flags()
  _define_tokenizer_flags()
  policies.define_flags()
  flags.DEFINE_string(
    "output",
    None,
    "Folder of the store, on this machine or in a bucket.",
    required=True,
  )
  flags.DEFINE_enum(
    "sentences",
    "segment",
    list(sentences.MODES),
    "segment undoes hard line wraps and finds the ends of sentences; lines "
    "makes each line a sentence.",
  )
  flags.DEFINE_bool(
    "restart", False, "Delete unfinished work in OUTPUT.partial."
  )
  flags.DEFINE_integer(
    "workers", 0, "Number of worker processes; 0 uses this one."
  )
  flags.DEFINE_string(
    "runner",
    "",
    "Encode with Apache Beam on this runner, for example DirectRunner or "
    "DataflowRunner; other flags are passed on to the runner.",
  )


def _define_source_flags() -> None:
  flags.DEFINE_string(
    "corpus",
    None,
    f"Comma-separated list; each entry is one of: {corpus.USAGE}.",
    required=True,
  )
  flags.DEFINE_enum(
    "documents",
    "file",
    config.choices(reading.ReadOptions, "documents"),
    "file makes a .txt file one document; blank_line starts a new document "
    "after each blank line.",
  )
  flags.DEFINE_string(
    "text_field",
    "text",
    "JSON field, column or TFDS feature with the text.",
  )
  flags.DEFINE_integer(
    "zstd_long",
    compression.ZSTD_LONG,
    "Binary logarithm of the largest window of .zst files that is read, in "
    "bytes; 27 to 31. The window is held in memory.",
  )
  flags.DEFINE_string(
    "tfds_data_dir",
    "",
    "Folder of prepared TFDS data sets; '' is TFDS's default.",
  )
  flags.DEFINE_string(
    "validation",
    "0.05",
    "Share of the documents to hold out for validation, chosen by their hash; "
    "0 for none; or a corpus of its own, as for --corpus.",
  )
  flags.DEFINE_integer(
    "min_characters",
    0,
    "Shortest document to keep, in characters.",
  )
  flags.DEFINE_enum(
    "deduplicate",
    "none",
    config.choices(Options, "deduplicate"),
    "documents leaves out exact copies of documents; paragraphs leaves out "
    "exact copies of paragraphs as well.",
  )
  flags.DEFINE_bool(
    "skip_bad_records", False, "Count bad records instead of stopping."
  )


def _define_tokenizer_flags() -> None:
  kinds = tokenizers.KINDS.items()
  cased = " and ".join(name for name, kind in kinds if not kind.folds_case)
  strips = " or ".join(name for name, kind in kinds if kind.accents != "never")
  bare = " and ".join(name for name, kind in kinds if kind.accents == "usually")
  about = ", ".join(
    f"{name} is {kind.about}" for name, kind in kinds if kind.about
  )
  forms = ", ".join(f"{kind.normalization} for {name}" for name, kind in kinds)
  flags.DEFINE_string(
    "tokenizer",
    "wordpiece",
    f"{', '.join(tokenizers.KINDS)} to learn a tokenizer; or the path of a "
    "vocab.txt, a tokenizer.json, a spiece.model, a vocab.json beside a "
    f"merges.txt, a folder with one, a store or a bundle. {about}.",
  )
  flags.DEFINE_integer(
    "vocab_size", 0, "Number of tokens to learn; 0 means 30,522."
  )
  flags.DEFINE_bool(
    "cased",
    False,
    f"Learn a tokenizer that keeps upper case, as {cased} always do.",
  )
  flags.DEFINE_bool(
    "strip_accents",
    None,
    f"Learn a tokenizer ({strips}) that removes accents, vowel signs and other "
    f"marks; by default one that folds case does, as BERT, and {bare} also if "
    "it keeps case.",
  )
  flags.DEFINE_enum(
    "normalization",
    "",
    config.choices(Options, "normalization"),
    f"Unicode form of the text of a new tokenizer; by default {forms}.",
  )
  flags.DEFINE_integer(
    "extend_vocab",
    0,
    "Number of new tokens to learn from this corpus and add to the WordPiece "
    "vocabulary of --tokenizer; [unusedN] tokens are replaced first.",
  )


def main(arguments: Sequence[str]) -> None:
  """Prepare the corpus that the flags describe."""
  names = {field.name for field in dataclasses.fields(Options)}
  values = {
    name: flags.FLAGS[name].value for name in sorted(names & set(flags.FLAGS))
  }
  options = config.from_mapping(Options, values)
  run(
    dataclasses.replace(options, beam_options=tuple(arguments[1:])),
    policies.from_flags(),
  )


if __name__ == "__main__":
  define_flags()
  cli.run(
    main,
    passes_on="runner",
    when_interrupted="run the same command again to continue",
  )
