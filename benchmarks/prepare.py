# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Measure preparing in tokens a second and core, beside the library's encoding.

    python -m benchmarks.prepare --books=FILE.jsonl.xz --vocabulary=vocab.txt
    python -m benchmarks.prepare --books=FILE.jsonl.xz --vocabulary=STORE

The first figure is the rate of one process on one core from the compressed
file to the finished store: reading, sentence split, encoding, shuffle,
checksums. The last figures are the rate of `tokenizers` for encoding the same
sentences on one core. Learning a vocabulary is timed separately. Times are
processor time and clock time, each the median of the runs.
"""

import functools
import os
import pathlib
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence

# Before the libraries start their threads: one core is one core.
os.environ["RAYON_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

from absl import app, flags

from benchmarks import figures
from data_pipelines.corpora import corpus, sentences
from data_pipelines.prepare.options import Options
from data_pipelines.prepare.prepare import prepare
from data_pipelines.tokenizers import tokenizers
from data_pipelines.tokenizers.tokenizer import Tokenizer

_BOOKS = flags.DEFINE_string(
  "books",
  None,
  "JSON lines, compressed or not, or another corpus of launch.prepare.",
  required=True,
)
_VOCABULARY = flags.DEFINE_string(
  "vocabulary",
  None,
  "The vocab.txt to encode with, or another tokenizer, as of a store.",
  required=True,
)
_RUNS = flags.DEFINE_integer(
  "runs", 3, "Runs of each figure, whose median is printed."
)
_LIBRARY = "tokenizers, encode_batch_fast"
_LEARN = flags.DEFINE_bool("learn", True, "Time the training of a vocabulary.")


def timed(work: Callable[[], object]) -> tuple[float, float]:
  """Return the seconds of processor and clock that `work` takes."""
  cpu, clock = time.process_time(), time.perf_counter()
  work()
  return time.process_time() - cpu, time.perf_counter() - clock


def report(
  what: str, tokens: int, times: Sequence[tuple[float, float]]
) -> float:
  """Print the medians of `times` as rates; return tokens a second and core."""
  cpu, clock = (
    statistics.median(column) for column in zip(*times, strict=True)
  )
  print(
    f"{what:34} {tokens / cpu / 1e6:6.3f} M tokens/s/core (CPU)"
    f" {tokens / clock / 1e6:6.3f} (clock)  {cpu:6.2f} s"
  )
  return tokens / cpu


def main(_: Sequence[str]) -> None:
  """Print one line a figure."""
  tokenizer = tokenizers.load(_VOCABULARY.value)
  text = _texts(pathlib.Path(_BOOKS.value))
  cut = [sentences.split(document) for document in text]
  everything = [sentence for document in cut for sentence in document]
  # `_prepare` checks that the store has as many tokens.
  tokens = int(
    sum(tokenizer.encode_flat(document)[1].sum() for document in cut)
  )
  print(
    f"{len(text)} documents, {len(everything):,} sentences, {tokens:,} tokens, "
    f"{sum(map(len, text)):,} characters"
  )
  with tempfile.TemporaryDirectory() as folder:
    times = [
      timed(functools.partial(_prepare, f"{folder}/{run}", tokens))
      for run in range(_RUNS.value)
    ]
  ours = report("file to store", tokens, times)
  parts: dict[str, Callable[[], object]] = {
    "  reading": lambda: _texts(pathlib.Path(_BOOKS.value)),
    "  sentences": lambda: [sentences.split(document) for document in text],
    "  encoding, nothing remembered": lambda: _encode(_VOCABULARY.value, cut),
    _LIBRARY: lambda: _library(tokenizer, cut, fast=True),
    "tokenizers, encode_batch": lambda: _library(tokenizer, cut, fast=False),
  }
  rates = {
    what: report(what, tokens, [timed(work) for _ in range(_RUNS.value)])
    for what, work in parts.items()
  }
  figures.record(
    figures.Figure(
      "text to store",
      ours / 1e6,
      "M tokens/s/core",
      rates[_LIBRARY] / 1e6,
      "encoding alone, tokenizers",
    )
  )
  if _LEARN.value:
    for kind in tokenizers.KINDS:
      times = [timed(functools.partial(tokenizers.train, text, kind, 30_522))]
      report(f"learning 30,522 tokens, {kind}", tokens, times)


def _texts(path: pathlib.Path) -> list[str]:
  return [document.text for document in corpus.Corpus(str(path))]


def _prepare(output: str, tokens: int) -> None:
  summary = prepare(
    Options(corpus=_BOOKS.value, output=output, tokenizer=_VOCABULARY.value)
  )
  written = sum(split["tokens"] for split in summary.splits.values())
  assert written == tokens, (written, tokens)


def _encode(vocabulary: str, cut: list[list[str]]) -> None:
  tokenizer = tokenizers.load(vocabulary)
  for document in cut:
    tokenizer.encode_flat(document)


def _library(tokenizer: Tokenizer, cut: list[list[str]], *, fast: bool) -> None:
  backend = tokenizer.make_backend()
  encode = backend.encode_batch_fast if fast else backend.encode_batch
  for document in cut:
    for encoding in encode(document, add_special_tokens=False):
      _ = encoding.ids


if __name__ == "__main__":
  app.run(main)
