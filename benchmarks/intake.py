# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
r"""Compare how fast two checkouts turn raw text into a store.

    python -m benchmarks.intake --vocabulary=vocab.txt --against=OTHER \
      [--books=FILE.jsonl.xz]

Kinds of text: documents of one line, books, Chinese, and abbreviations that
follow each other. Each figure is the processor time of `prepare` on one core,
reading, learning how sentences end, encoding and writing included. The
checkouts take turns in processes of their own; the median counts. Without
`--against` only this checkout is measured. `--kinds` leaves out what would take
the other one hours.
"""

import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence

from absl import app, flags

_VOCABULARY = flags.DEFINE_string(
  "vocabulary", None, "The vocab.txt to encode with.", required=True
)
_BOOKS = flags.DEFINE_string("books", None, "JSON lines of long documents.")
_AGAINST = flags.DEFINE_string("against", None, "Folder of another checkout.")
_RUNS = flags.DEFINE_integer("runs", 3, "Runs of each, whose median counts.")
_KINDS = flags.DEFINE_list(
  "kinds", ["lines", "books", "chinese", "abbreviations"], "What to measure."
)

_ROOT = pathlib.Path(__file__).parents[1]
_LINES = 30_000
_CHINESE = 2_000  # documents
_ABBREVIATIONS = 8_000_000  # characters
# Modules were elsewhere in earlier checkouts.
_CHILD = """
import sys, time
try:
  from data_pipelines.prepare.options import Options
  from data_pipelines.prepare.prepare import prepare
except ImportError:
  from data_pipelines.options import Options
  from data_pipelines.prepare import prepare
corpus, output, vocabulary = sys.argv[1:]
options = Options(
  corpus=corpus, output=output, tokenizer=vocabulary, validation="0"
)
started = time.process_time()
summary = prepare(options)
seconds = time.process_time() - started
print(seconds, sum(split["tokens"] for split in summary.splits.values()))
"""


def _texts(kind: str) -> Iterator[str]:
  rng = random.Random(0)
  if kind == "lines":
    words = ("the", "ticket", "for", "our", "train", "was", "not", "found")
    for _ in range(_LINES):
      yield " ".join(rng.choices(words, k=9))
  elif kind == "chinese":
    for _ in range(_CHINESE):
      letters = "".join(chr(0x4E00 + rng.randrange(3000)) for _ in range(1000))
      yield "。".join(letters[i : i + 30] for i in range(0, 1000, 30))
  else:
    line = "Smith, J. A. Brown, K. L. and Lee, P. Q. vol. 7 "
    yield line * (_ABBREVIATIONS // len(line))


def _measure(
  checkout: pathlib.Path, corpus: str, output: str
) -> tuple[float, int]:
  """Return the processor time of one run, in seconds, and its tokens."""
  variables = {"RAYON_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
  run = subprocess.run(
    [sys.executable, "-c", _CHILD, corpus, output, _VOCABULARY.value],
    cwd=checkout,
    env={**os.environ, **variables, "PYTHONPATH": str(checkout)},
    check=True,
    capture_output=True,
    text=True,
  )
  seconds, tokens = run.stdout.split()
  return float(seconds), int(tokens)


def main(_: Sequence[str]) -> None:
  """Print one line a kind of text and checkout, and their ratio."""
  checkouts = {"here": _ROOT}
  if _AGAINST.value:
    checkouts["there"] = pathlib.Path(_AGAINST.value).resolve()
  with tempfile.TemporaryDirectory() as folder:
    for kind in _KINDS.value:
      corpus = f"{folder}/{kind}.jsonl"
      if kind == "books":
        if not _BOOKS.value:
          continue
        corpus = os.path.abspath(_BOOKS.value)
      else:
        with open(corpus, "w", encoding="utf-8") as file:
          for text in _texts(kind):
            file.write(json.dumps({"text": text}) + "\n")
      times: dict[str, list[float]] = {name: [] for name in checkouts}
      tokens = 0
      for run in range(_RUNS.value):
        for name, checkout in checkouts.items():
          output = f"{folder}/{kind}-{name}-{run}"
          seconds, tokens = _measure(checkout, corpus, output)
          times[name].append(seconds)
      medians = {name: statistics.median(times[name]) for name in checkouts}
      for name, seconds in medians.items():
        rate = tokens / seconds
        print(f"{kind:14} {name:6} {seconds:7.2f} s {rate:10,.0f} tokens/s")
      if _AGAINST.value:
        ratio = medians["there"] / medians["here"]
        print(f"{kind:14} {ratio:.2f} times as fast here", flush=True)


if __name__ == "__main__":
  app.run(main)
