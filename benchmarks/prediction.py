# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
r"""The speed of predictions, beside PyTorch and ONNX Runtime.

    python -m benchmarks.prediction [--bundle=DIR] [--texts=FILE.csv \
      --text_column=text --label_column=category] [--tickets=40000] \
      [--minutes=10]

Each runtime reads texts, in a process of its own, and they take turns: texts a
second in batches of several sizes, the time of requests of one text, and the
time of all `--tickets`, a tenth of them a turn. The medians over turns count.
Without `--bundle` the model has 4 layers of width 256 and random weights;
without `--texts` it reads random words, as many as banking77's questions have
tokens. With `--label_column` the accuracy of each is printed, which says what
int8 loses. `--minutes` ends turns early: half of it is for rounds, of which
there is one at least, and the rest for tickets. What is met of
`prediction_goals` is printed at the end.
"""

import contextlib
import json
import multiprocessing
import os
import pathlib
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import metadata
from multiprocessing.connection import Connection
from typing import Any

# Before a process starts JAX.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import numpy as np
from absl import flags

from benchmarks import figures, turns
from benchmarks import prediction_runtimes as runtimes
from benchmarks.prediction_goals import Measured, judge, ratios, table
from bertjax.checkpoints.digest import nest
from bertjax.config import ModelConfig
from bertjax.finetune.artifact import save_finetuned
from bertjax.finetune.task import Head
from bertjax.interop.architectures import CLASSIFICATION, shapes
from bertjax.interop.onnx import processor
from data_pipelines.tasks.table_files import Columns
from data_pipelines.tasks.tables import Rules, read_table
from data_pipelines.tokenizers import tokenizers
from launch import cli, export
from launch.exports.formats import Options
from launch.exports.trained import read_bundle

_VOCABULARY = pathlib.Path(__file__).parents[1] / "tests/data/vocab.txt"
# Quantiles of the tokens of banking77's 10,003 training questions in the
# vocabulary of uncased BERT, without special tokens.
_SHARES = (0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1)
_TOKENS = (2, 7, 8, 9, 10, 11, 13, 14, 17, 26, 35, 51, 96)
_CLASSES = 77
_LONGEST = 128
_TICKET_TURNS = 10


def make_texts(count: int) -> list[str]:
  """Return random words, with the lengths of banking77."""
  lines = _VOCABULARY.read_text(encoding="utf-8").splitlines()
  words = np.array([line for line in lines if line.isalpha()])
  draw = np.random.default_rng(0)
  lengths = np.interp(draw.random(count), _SHARES, _TOKENS).round().astype(int)
  return [" ".join(draw.choice(words, length)) for length in lengths]


def make_bundle(folder: pathlib.Path) -> None:
  """Write a classifier with 4 layers of width 256 and random weights."""
  vocabulary = folder.with_name("vocabulary")
  vocabulary.mkdir()
  (vocabulary / "vocab.txt").write_bytes(_VOCABULARY.read_bytes())
  config = ModelConfig(
    num_layers=4,
    hidden_size=256,
    num_heads=4,
    intermediate_size=1024,
    vocab_size=tokenizers.load(vocabulary).vocab_size,
  )
  draw = np.random.default_rng(0)

  def leaf(name: str, shape: Any) -> np.ndarray:
    noise = draw.standard_normal(shape.shape) * 0.05
    return (noise + name.endswith("scale")).astype(np.float32)

  params = nest(
    {
      name: leaf(name, shape)
      for name, shape in shapes(CLASSIFICATION, config, _CLASSES).items()
    }
  )
  labels = tuple(f"class {number}" for number in range(_CLASSES))
  head = Head("random", labels, "cls", _LONGEST, pair=False)
  save_finetuned(folder, params, config, vocabulary, head, step=0)


def make_folders(
  root: pathlib.Path, texts: Sequence[str], given: str | None = None
) -> None:
  """Write a model in the form of every runtime, below `root`.

  Args:
    root: folder to write to.
    texts: texts on which quantized graphs are calibrated and measured.
    given: bundle of the model; None makes one.
  """
  bundle = root / runtimes.BUNDLE
  if given:
    bundle.symlink_to(pathlib.Path(given).resolve())
  else:
    make_bundle(bundle)
  export.run(bundle=bundle, output=root / runtimes.TRANSFORMERS)
  table = root / "texts.jsonl"
  rows = (json.dumps({"text": text}) + "\n" for text in texts[:512])
  table.write_text("".join(rows), encoding="utf-8")
  for folder, way in (
    (runtimes.DYNAMIC, "dynamic"),
    (runtimes.STATIC, "static"),
  ):
    export.run(
      bundle=bundle,
      output=root / folder,
      format="onnx",
      options=Options(quantize=way, calibration=str(table)),
    )


@contextlib.contextmanager
def start(root: pathlib.Path) -> Iterator[dict[str, Connection]]:
  """Yield a connection to a process of each runtime."""
  context = multiprocessing.get_context("spawn")
  connections, processes = {}, []
  try:
    for name in runtimes.RUNTIMES:
      ours, theirs = context.Pipe()
      process = context.Process(
        target=runtimes.serve, args=(name, root, theirs), daemon=True
      )
      process.start()
      theirs.close()  # so that the end of the process is the end of the pipe
      connections[name] = ours
      processes.append(process)
    yield connections
  finally:
    for connection in connections.values():
      with contextlib.suppress(OSError):
        connection.send(None)
    for process in processes:
      process.join()


def ask(
  connection: Connection, texts: Sequence[str], batch_size: int, *, alone: bool
) -> tuple[list[float], list[int]]:
  """Return the seconds of each request, and the labels of the texts."""
  time.sleep(turns.PAUSE)
  connection.send((list(texts), batch_size, alone))
  return connection.recv()


def measure(
  connections: Mapping[str, Connection],
  texts: Sequence[str],
  sizes: Sequence[int],
  rounds: int,
  is_over: Callable[[], bool] = lambda: False,
) -> dict[str, Measured]:
  """Let the runtimes take turns; the first turn of each is not counted.

  Args:
    connections: to each runtime.
    texts: texts of a turn; single requests take an eighth of them.
    sizes: sizes of a batch.
    rounds: most rounds, in each of which all runtimes take turns.
    is_over: whether to begin no other round.
  """
  few = texts[: max(len(texts) // 8, 1)]
  found = {
    name: Measured({n: [] for n in sizes}, [], [], []) for name in connections
  }
  for name, connection in connections.items():
    for size in sizes:
      batch = few if size == 1 and len(sizes) > 1 else texts
      _, labels = ask(connection, batch, size, alone=False)
      if batch is texts:
        found[name].labels[:] = labels
    ask(connection, few, 1, alone=True)
  names = list(connections)
  for turn in range(rounds):
    if turn and is_over():
      break
    for name in names[turn % len(names) :] + names[: turn % len(names)]:
      for size in sizes:
        batch = few if size == 1 else texts
        (seconds,), _ = ask(connections[name], batch, size, alone=False)
        found[name].rates[size].append(len(batch) / seconds)
      requests, _ = ask(connections[name], few, 1, alone=True)
      found[name].requests.extend(requests)
  return found


def label_tickets(
  connections: Mapping[str, Connection],
  found: Mapping[str, Measured],
  texts: Sequence[str],
  count: int,
  is_over: Callable[[], bool],
) -> None:
  """Add the times of tickets to what was found; a turn has a tenth of them.

  Args:
    connections: to each runtime.
    found: what was measured.
    texts: texts, which are repeated as often as it takes.
    count: number of tickets.
    is_over: whether to begin no other turn of all runtimes.
  """
  part = max(count // _TICKET_TURNS, 1)
  names = list(connections)
  for turn in range(-(-count // part)):
    if turn and is_over():
      return
    rows = range(turn * part, min((turn + 1) * part, count))
    tickets = [texts[row % len(texts)] for row in rows]
    for name in names[turn % len(names) :] + names[: turn % len(names)]:
      (seconds,), _ = ask(connections[name], tickets, 32, alone=False)
      found[name].tickets.append(len(tickets) / seconds)


def read_texts() -> tuple[list[str], list[str] | None]:
  """Return the texts of the flags, and their labels if they are known."""
  if flags.FLAGS.texts is None:
    return make_texts(flags.FLAGS.count), None
  label = flags.FLAGS.label_column
  read = read_table(
    flags.FLAGS.texts,
    Columns(flags.FLAGS.text_column, label or ""),
    Rules(needs_labels=label is not None, unlabeled=""),
  )
  rows = np.random.default_rng(0).permutation(len(read.texts))[
    : flags.FLAGS.count
  ]
  known: Sequence[str] = read.labels or ()
  labels = [known[row] for row in rows] if known else None
  return [read.texts[row] for row in rows], labels


def _describe_machine() -> str:
  packages = ("jax", "torch", "transformers", "onnxruntime")
  versions = (f"{name} {metadata.version(name)}" for name in packages)
  load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
  return f"{processor.describe()}; {', '.join(versions)}; load {load}"


def define_flags() -> None:
  """Define the flags; not at import, because tests import this."""
  flags.DEFINE_string("bundle", None, "Classifier to measure.")
  flags.DEFINE_string("texts", None, "Table of texts.")
  flags.DEFINE_string("text_column", "text", "Column of texts.")
  flags.DEFINE_string("label_column", None, "Column of labels.")
  flags.DEFINE_list("batch_sizes", ["1", "32", "256"], "Sizes.")
  flags.DEFINE_integer(
    "count", 2048, "Texts of a turn; an eighth for single requests."
  )
  flags.DEFINE_integer("rounds", 5, "Rounds, whose median counts.")
  flags.DEFINE_integer(
    "tickets", 0, "Texts to label as a queue, in batches of 32; 0 is none."
  )
  flags.DEFINE_float(
    "minutes", 0.0, "Begin no other turn after so many minutes; 0 takes all."
  )


def main(_: object) -> None:
  """Print a table of all runtimes, of the tickets, and of the goals."""
  began, minutes = time.monotonic(), flags.FLAGS.minutes
  texts, labels = read_texts()
  sizes = [int(size) for size in flags.FLAGS.batch_sizes]

  def is_over(share: float) -> bool:
    return 0 < minutes * share * 60 <= time.monotonic() - began

  with tempfile.TemporaryDirectory() as folder:
    root = pathlib.Path(folder)
    make_folders(root, texts, flags.FLAGS.bundle)
    expected = None
    if labels is not None:
      names = read_bundle(root / runtimes.BUNDLE).head
      ids = {name: i for i, name in enumerate(names.labels if names else ())}
      expected = [ids.get(label, -1) for label in labels]
    print(_describe_machine(), flush=True)
    with start(root) as connections:
      found = measure(
        connections, texts, sizes, flags.FLAGS.rounds, lambda: is_over(0.5)
      )
      print(table(found, sizes, expected), flush=True)
      figures.record(*ratios(found, sizes))
      if flags.FLAGS.tickets:
        label_tickets(
          connections, found, texts, flags.FLAGS.tickets, lambda: is_over(1)
        )
      for line in judge(found, sizes, flags.FLAGS.tickets, expected):
        print(line, flush=True)
    print(_describe_machine())


if __name__ == "__main__":
  define_flags()
  cli.run(main)
