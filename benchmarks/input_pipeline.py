# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Measure the input pipeline beside Hugging Face's collator and plain grain.

    python -m benchmarks.input_pipeline [--store=DIR] [--rounds=5]

Our pipeline reads the store, pairs sentences at random (nsp), packs and writes
batches. It draws no masks, which the train step does, so a second line adds
masks drawn by numpy on the host. The others get rows that are already cut and
in memory, the best case for them: the collator masks them, grain shuffles and
batches them. All run in turns. Prints medians of tokens a second of processor
time (all threads of this process) and of the clock, and the rate of our
pipeline over the first epoch, when records are read from disk.

Without --store a made-up store of 35 M tokens is written first.
"""

import itertools
import pathlib
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from absl import app, flags

from benchmarks import figures, other_pipelines
from benchmarks.made_up_store import make_store
from bertjax.config import DataConfig, ObjectiveConfig
from data_pipelines.rows.pipeline import PretrainingPipeline
from data_pipelines.store.store import Split, Store, open_store
from launch import host_memory

STORE = flags.DEFINE_string("store", "", "A prepared store.")
BATCH_SIZES = flags.DEFINE_multi_integer("batch_size", [256, 32], "Rows.")
LENGTHS = flags.DEFINE_multi_integer("seq_length", [128, 512], "Tokens a row.")
TOKENS = flags.DEFINE_integer(
  "tokens", 35_000_000, "Tokens of the made-up store."
)
ROUNDS = flags.DEFINE_integer("rounds", 5, "Turns of each pipeline.")
TURN = flags.DEFINE_integer("turn_tokens", 2_000_000, "Tokens of a turn.")
OTHERS = flags.DEFINE_bool("others", True, "Run the other pipelines too.")

_SLOW = 8  # how many times fewer tokens a turn of the collator has


def measure_reads(split: Split) -> None:
  """Print the cost of reading a random record, and a whole block."""
  records = np.random.default_rng(0).integers(0, split.num_records, 1000)
  split.read_records(records)
  start = time.process_time()
  split.read_records(records)
  each = (time.process_time() - start) / len(records)
  start = time.process_time()
  tokens = len(read_block(split))
  whole = time.process_time() - start
  print(
    f"record at random {each * 1e6:.0f} µs; block of {tokens / 1e6:.2f} M "
    f"tokens {whole * 1e3:.1f} ms"
  )


def read_block(split: Split) -> np.ndarray:
  """Return the token ids of the first block."""
  return np.concatenate(split.read_records(range(split.blocks[1, 1])))


def make_pipeline(
  store: Store, seq_length: int, batch_size: int
) -> PretrainingPipeline:
  """Make our pipeline of MLM and NSP."""
  return PretrainingPipeline(
    store,
    "train",
    objective=ObjectiveConfig(next_sentence="nsp"),
    data=DataConfig(seq_length=seq_length),
    batch_size=batch_size,
    seed=0,
  )


def walk(pipeline: PretrainingPipeline) -> Iterator[dict[str, np.ndarray]]:
  """Return the batches of a pipeline, step by step."""
  return map(pipeline.batch, itertools.count())


def cut_rows(split: Split, seq_length: int, ids: Any) -> np.ndarray:
  """Cut the first block into rows from [CLS] to [SEP]: integers [N, S]."""
  tokens = read_block(split)
  width = seq_length - 2
  inside = tokens[: len(tokens) // width * width].reshape(-1, width)
  return np.pad(
    inside, ((0, 0), (1, 1)), constant_values=((0, 0), (ids["cls"], ids["sep"]))
  )


def spend(batches: Iterator[Any], count: int) -> tuple[int, float, float]:
  """Return tokens, processor and clock seconds of the next batches."""
  tokens, processor, clock = 0, 0.0, 0.0
  for _ in range(count):
    begin = time.process_time(), time.perf_counter()
    batch = next(batches)
    processor += time.process_time() - begin[0]
    clock += time.perf_counter() - begin[1]
    tokens += count_tokens(batch)
  return tokens, processor, clock


def count_tokens(batch: Any) -> int:
  """Count the positions of a batch without padding."""
  if isinstance(batch, np.ndarray):
    return batch.size
  if "packs_BS" in batch:
    return int((batch["packs_BS"] > 0).sum())
  return int(np.prod(batch["input_ids"].shape))


def make_others(
  store: Store, seq_length: int, batch_size: int
) -> dict[str, Callable[[], Iterator[Any]]]:
  """Make the other pipelines; print which of them cannot run."""
  rows_NS = cut_rows(store.split("train"), seq_length, store.special_ids)
  others: dict[str, Callable[[], Iterator[Any]]] = {}
  if not OTHERS.value:
    return others
  try:
    others |= other_pipelines.collate(
      rows_NS, batch_size, store.special_ids, store.vocab_size
    )
  except ImportError as error:
    print(f"no collator: {error}; pip install transformers torch")
  others["grain"] = lambda: other_pipelines.shuffle_and_batch(
    rows_NS, batch_size
  )
  return others


def compare(store: Store, seq_length: int, batch_size: int) -> None:
  """Print a line for each pipeline."""
  ours = make_pipeline(store, seq_length, batch_size)
  begin = time.process_time()
  ours.batch(0)
  first = time.process_time() - begin
  report = ours.report()
  rows = min(report["rows_per_epoch"], 10_000_000 / seq_length)
  tokens, seconds, _ = spend(walk(ours), int(rows / batch_size))
  print(
    f"S={seq_length} B={batch_size} R={ours.num_packs}: efficiency "
    f"{report['efficiency']:.4f}; first batch {first:.2f} s; the first "
    f"{tokens / 1e6:.0f} M tokens at {tokens / seconds / 1e6:.1f} M/s/core"
  )
  masked = other_pipelines.mask_batches(
    walk(ours), store.special_ids, store.vocab_size
  )
  contenders = {"ours": walk(ours), "ours, masked by numpy": masked}
  for name, make in make_others(store, seq_length, batch_size).items():
    contenders[name] = make()
  rates: dict[str, list[tuple[float, float]]] = {}
  for turn in range(ROUNDS.value + 1):
    for name, batches in contenders.items():
      share = _SLOW if name.startswith("collator") else 1
      wanted = TURN.value // share // (seq_length * batch_size)
      tokens, processor, clock = spend(batches, max(2, wanted))
      if turn:
        rates.setdefault(name, []).append((tokens / processor, tokens / clock))
  medians = {}
  for name, found in rates.items():
    processor, clock = (
      statistics.median(column) / 1e6 for column in zip(*found, strict=True)
    )
    medians[name] = processor
    spread = [rate / 1e6 for rate, _ in found]
    print(
      f"  {name:28s} {processor:7.2f} M tokens/s/core ({min(spread):.2f} to "
      f"{max(spread):.2f}); {clock:.2f} M/s by the clock"
    )
  others = {name: medians[name] for name in medians if "ours" not in name}
  best = max(others, key=lambda name: others[name], default="")
  figures.record(
    figures.Figure(
      f"store to batches of {batch_size} × {seq_length}",
      medians["ours"],
      "M tokens/s/core",
      others.get(best),
      best,
    )
  )


def main(_: object) -> None:
  """Measure reading, then batches of every size."""
  host_memory.retain()
  with tempfile.TemporaryDirectory() as folder:
    if STORE.value:
      store = open_store(STORE.value)
    else:
      store = make_store(pathlib.Path(folder), TOKENS.value)
    split = store.split("train")
    print(f"{split.num_tokens / 1e6:.1f} M tokens, {split.num_blocks} blocks")
    measure_reads(split)
    for seq_length in LENGTHS.value:
      for batch_size in BATCH_SIZES.value:
        compare(store, seq_length, batch_size)


if __name__ == "__main__":
  app.run(main)
