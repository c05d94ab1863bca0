# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Store → batches of MLM+NSP, arrays materialised: tokens/s on one core.

    python -m benchmarks.input_pipeline [--store=DIR] [--batch_size=256]

Without --store a made-up one of 35 M tokens is written first, as large as the
books: documents of 800 tokens on average, sentences of 20. Counted are tokens
that are no padding, over distinct batches after the first, by the processor
time of one process; whoever else uses the machine changes little.
"""

import pathlib
import tempfile
import time

import numpy as np
from absl import app, flags

from bertjax.config import DataConfig, ObjectiveConfig
from data_pipelines import store as stores
from data_pipelines.pretraining import PretrainingPipeline

STORE = flags.DEFINE_string("store", "", "A prepared store.")
BATCH_SIZE = flags.DEFINE_integer("batch_size", 256, "Rows a batch.")
BATCHES = flags.DEFINE_integer("batches", 1000, "Batches after the first.")
TOKENS = flags.DEFINE_integer("tokens", 35_000_000, "Of the made-up store.")

_SPECIALS = {"pad": 0, "unk": 100, "cls": 101, "sep": 102, "mask": 103}
_VOCAB_SIZE = 30522


def make_store(folder: pathlib.Path, tokens: int) -> stores.Store:
  """Write a store of random ids with sentences and documents as in books."""
  rng = np.random.default_rng(0)
  writer = stores.SplitWriter(folder, "train", _VOCAB_SIZE)
  written = 0
  while written < tokens:
    lengths = rng.geometric(1 / 20, size=rng.geometric(1 / 40))
    writer.add_flat(rng.integers(1000, _VOCAB_SIZE, lengths.sum()), lengths)
    written += int(lengths.sum())
  stores.write_manifest(
    folder,
    source={"corpus": "random ids"},
    tokenizer={
      "name": "none",
      "sha256": "0" * 64,
      "vocab_size": _VOCAB_SIZE,
      "special_ids": _SPECIALS,
    },
    splits={"train": writer.finish()},
  )
  return stores.open_store(folder)


def measure_reads(split: stores.Split) -> None:
  """Print what a record costs: at random, and within its block."""
  records = np.random.default_rng(0).integers(0, split.num_records, 1000)
  split.read_records(records)
  start = time.process_time()
  split.read_records(records)
  each = (time.process_time() - start) / len(records)
  start = time.process_time()
  tokens = len(split.read_block(0))
  whole = time.process_time() - start
  print(
    f"record at random {each * 1e6:.0f} µs; block of {tokens / 1e6:.2f} M "
    f"tokens {whole * 1e3:.1f} ms"
  )


def measure_batches(store: stores.Store, seq_length: int) -> None:
  """Print tokens/s/core over the batches after the first."""
  start = time.process_time()
  pipeline = PretrainingPipeline(
    store,
    "train",
    objective=ObjectiveConfig(next_sentence="nsp"),
    data=DataConfig(seq_length=seq_length),
    batch_size=BATCH_SIZE.value,
    seed=0,
  )
  pipeline.batch(0)
  first = time.process_time() - start
  tokens, keys, spent = 0, set(), 0.0
  for step in range(1, BATCHES.value + 1):
    start = time.process_time()
    batch = pipeline.batch(step)
    spent += time.process_time() - start
    tokens += int((batch["packs_BS"] > 0).sum())
    keys.add(batch["key_BR2"].tobytes())
  report = pipeline.report()
  print(
    f"S={seq_length} B={BATCH_SIZE.value} R={pipeline.num_packs}: "
    f"{tokens / spent / 1e6:.2f} M tokens/s/core over {len(keys)} distinct "
    f"batches, {pipeline.epoch(BATCHES.value):.2f} epochs; first batch "
    f"{first:.2f} s; efficiency {report['efficiency']:.3f}, random B "
    f"{report['random_share']:.3f} of examples, truncated "
    f"{report['truncated_share']:.3f} of tokens"
  )


def main(argv: list[str]) -> None:
  """Measure reads, then batches at both usual lengths."""
  del argv
  with tempfile.TemporaryDirectory() as folder:
    if STORE.value:
      store = stores.open_store(STORE.value)
    else:
      store = make_store(pathlib.Path(folder), TOKENS.value)
    split = store.split("train")
    print(f"{split.num_tokens / 1e6:.1f} M tokens, {split.num_blocks} blocks")
    measure_reads(split)
    for seq_length in (128, 512):
      measure_batches(store, seq_length)


if __name__ == "__main__":
  app.run(main)
