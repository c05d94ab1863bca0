# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Measure the memory of preparing, which does not grow with the corpus.

    python -m benchmarks.prepare_memory --corpus='books/*.jsonl.xz' \
      --copies=1,10 --workers=2

For each number of copies every document is written that many times, each time
with another title, so that no two are equal. Another process learns a
tokenizer of 30,522 tokens and prepares them. Prints the peak of the resident
memory of the process that coordinates and of its largest worker.
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

import zstandard
from absl import app, flags

from data_pipelines.corpora import corpus

_CORPUS = flags.DEFINE_string(
  "corpus",
  None,
  "JSON lines whose documents are written again and again.",
  required=True,
)
_COPIES = flags.DEFINE_list(
  "copies", ["1", "10"], "Copies of each document, one run for each number."
)
_WORKERS = flags.DEFINE_integer("workers", 2, "Processes that encode.")
_TOKENIZER = flags.DEFINE_string(
  "tokenizer", "wordpiece", "--tokenizer of launch.prepare."
)
_DEDUPLICATE = flags.DEFINE_string(
  "deduplicate", "none", "--deduplicate of launch.prepare."
)

# A script for another process, so that the peak is its own; spawned workers
# import it. Peaks are VmHWM, because getrusage includes a child's memory before
# its exec.
_PREPARE = """
import glob, json, re, sys, threading, time
from data_pipelines.prepare.options import Options
from data_pipelines.prepare.prepare import prepare

def peak(pid):
  with open(f"/proc/{pid}/status") as file:
    return int(re.search("VmHWM:\\s+(\\d+)", file.read())[1]) / 1e6

def watch():
  while True:
    for path in glob.glob("/proc/self/task/*/children"):
      try:
        with open(path) as file:
          workers.update((pid, peak(pid)) for pid in file.read().split())
      except (OSError, TypeError):
        pass  # the worker has just ended
    time.sleep(0.1)

if __name__ == "__main__":
  workers = {}
  threading.Thread(target=watch, daemon=True).start()
  summary = prepare(Options(**json.loads(sys.argv[1])))
  tokens = sum(split["tokens"] for split in summary.splits.values())
  most = max(workers.values(), default=0)
  print(json.dumps([peak("self"), most, tokens, summary.bytes_per_token]))
"""


def write_copies(path: pathlib.Path, copies: int) -> int:
  """Write every document `copies` times; return bytes of text."""
  size = 0
  compressor = zstandard.ZstdCompressor(level=1)
  with path.open("wb") as file, compressor.stream_writer(file) as out:
    for copy in range(copies):
      for document in corpus.Corpus(_CORPUS.value):
        text = f"Copy {copy}.\n\n{document.text}"
        size += len(text.encode())
        out.write(json.dumps({"text": text}).encode() + b"\n")
  return size


def measure(folder: pathlib.Path, copies: int) -> None:
  """Print the peaks for one number of copies."""
  copied = folder / f"{copies}.jsonl.zst"
  size = write_copies(copied, copies)
  script = folder / "prepare.py"
  script.write_text(_PREPARE, encoding="utf-8")
  options = {
    "corpus": str(copied),
    "output": str(folder / f"store{copies}"),
    "tokenizer": _TOKENIZER.value,
    "deduplicate": _DEDUPLICATE.value,
    "workers": _WORKERS.value,
  }
  began = time.perf_counter()
  done = subprocess.run(
    [sys.executable, str(script), json.dumps(options)],
    check=True,
    capture_output=True,
    env={"PYTHONPATH": ".", "PATH": "/usr/bin:/bin"},
  )
  spent = time.perf_counter() - began
  here, worker, tokens, each = json.loads(done.stdout)
  print(
    f"{size / 1e6:,.0f} MB of text, {tokens / 1e6:,.1f} M tokens, "
    f"{each:.3f} bytes each: peak {here:.2f} GB coordinating, {worker:.2f} GB "
    f"a worker, {spent:,.0f} s",
    flush=True,
  )


def main(_: Sequence[str]) -> None:
  """Print a line for each number of copies."""
  with tempfile.TemporaryDirectory() as folder:
    for copies in _COPIES.value:
      measure(pathlib.Path(folder), int(copies))


if __name__ == "__main__":
  app.run(main)
