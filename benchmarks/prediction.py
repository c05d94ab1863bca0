# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
r"""The speed of predictions, beside PyTorch and ONNX Runtime.

    python -m benchmarks.prediction [--bundle=DIR] [--texts=FILE.csv \
      --text_column=text --label_column=category] [--tickets=40000]

Each runtime reads texts, in a process of its own, and they take turns: texts a
second in batches of several sizes, and the time of requests of one text. The
medians over rounds count. Without `--bundle` the model has 4 layers of width
256 and random weights; without `--texts` it reads random words, as many as
banking77's questions have tokens. With `--label_column` the accuracy of each is
printed, which says what int8 loses.
"""

import contextlib
import itertools
import json
import multiprocessing
import os
import pathlib
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

# Before a process starts JAX.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import numpy as np
from absl import flags

from benchmarks import prediction_runtimes as runtimes
from bertjax.checkpoints.digest import nest
from bertjax.config import ModelConfig
from bertjax.finetune.artifact import save_finetuned
from bertjax.finetune.task import Head
from bertjax.interop.architectures import CLASSIFICATION, shapes
from bertjax.interop.onnx import processor
from bertjax.trials.markdown import markdown
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
_BASELINE = "PyTorch, float32"
_PAUSE = 0.05  # seconds, in which the threads of another runtime go to sleep


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
  time.sleep(_PAUSE)
  connection.send((list(texts), batch_size, alone))
  return connection.recv()


class Measured(NamedTuple):
  """What was measured of a runtime.

  Attributes:
    rates: texts a second of each round, by the size of a batch.
    requests: seconds of each request of one text.
    labels: id of each text's label.
  """

  rates: dict[int, list[float]]
  requests: list[float]
  labels: list[int]


def measure(
  connections: Mapping[str, Connection],
  texts: Sequence[str],
  sizes: Sequence[int],
  rounds: int,
) -> dict[str, Measured]:
  """Let the runtimes take turns; the first turn of each is not counted."""
  few = texts[: max(len(texts) // 8, 1)]
  found = {
    name: Measured({n: [] for n in sizes}, [], []) for name in connections
  }
  for name, connection in connections.items():
    for size in sizes:
      _, labels = ask(connection, texts, size, alone=False)
      found[name].labels[:] = labels
    ask(connection, few, 1, alone=True)
  names = list(connections)
  for turn in range(rounds):
    for name in names[turn % len(names) :] + names[: turn % len(names)]:
      for size in sizes:
        batch = few if size == 1 else texts
        (seconds,), _ = ask(connections[name], batch, size, alone=False)
        found[name].rates[size].append(len(batch) / seconds)
      requests, _ = ask(connections[name], few, 1, alone=True)
      found[name].requests.extend(requests)
  return found


def table(
  found: Mapping[str, Measured],
  sizes: Sequence[int],
  expected: Sequence[int] | None = None,
) -> str:
  """Return the medians of all runtimes as a table.

  Args:
    found: what was measured, by runtime; the first one's labels are compared
      with the others'.
    sizes: sizes of a batch.
    expected: id of each text's label, where they are known.
  """
  header = ["runtime", *(f"texts/s at {size}" for size in sizes)]
  header += ["p50 ms", "p99 ms", f"of {_BASELINE}", "same labels"]
  header += ["accuracy"] if expected is not None else []
  ours = np.array(next(iter(found.values())).labels)
  base = _medians(found[_BASELINE])
  lines = []
  for name, measured in found.items():
    medians = _medians(measured)
    p50, p99 = 1e3 * np.percentile(measured.requests, [50, 99])
    ratios = "  ".join(f"{medians[size] / base[size]:.2f}" for size in sizes)
    labels = np.array(measured.labels)
    line = [name, *(f"{medians[size]:,.0f}" for size in sizes)]
    line += [
      f"{p50:.2f}",
      f"{p99:.2f}",
      ratios,
      f"{(labels == ours).mean():.2%}",
    ]
    if expected is not None:
      line.append(f"{(labels == np.array(expected)).mean():.2%}")
    lines.append(line)
  return markdown(header, lines)


def _medians(measured: Measured) -> dict[int, float]:
  return {
    size: statistics.median(rates) for size, rates in measured.rates.items()
  }


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
    "tickets", 0, "Texts to label in one go, in batches of 32; 0 is none."
  )


def main(_: object) -> None:
  """Print a table of all runtimes, and of the tickets if they are asked for."""
  texts, labels = read_texts()
  sizes = [int(size) for size in flags.FLAGS.batch_sizes]
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
      found = measure(connections, texts, sizes, flags.FLAGS.rounds)
      print(table(found, sizes, expected), flush=True)
      tickets = list(
        itertools.islice(itertools.cycle(texts), flags.FLAGS.tickets)
      )
      for name, connection in connections.items() if tickets else ():
        (seconds,), _ = ask(connection, tickets, 32, alone=False)
        print(f"{name}: {len(tickets):,} texts in {seconds:.1f} s", flush=True)
    print(_describe_machine())


if __name__ == "__main__":
  define_flags()
  cli.run(main)
