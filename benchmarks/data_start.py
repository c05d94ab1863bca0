# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Measure the time from opening a store of many shards to its first batch.

    python -m benchmarks.data_start [--shards=1000] [--block_tokens=100000]

Writes a made-up store with one block in each shard, then times another process
that opens it and makes one batch: seconds of the clock and of the processor,
open shards, and memory.
"""

import pathlib
import resource
import subprocess
import sys
import tempfile
import time

from absl import app, flags

from benchmarks.input_pipeline import make_pipeline
from benchmarks.made_up_store import make_store
from data_pipelines.store.store import open_store
from launch import host_memory

SHARDS = flags.DEFINE_integer("shards", 1000, "Shards of the made-up store.")
BLOCK = flags.DEFINE_integer("block_tokens", 100_000, "Tokens of a block.")
OPEN = flags.DEFINE_string("open", "", "Only open this store and measure.")


def count_open_shards() -> int:
  """Count the shards that this process has open."""
  descriptors = pathlib.Path("/proc/self/fd").iterdir()
  names = [str(path.resolve()) for path in descriptors]
  return sum(name.endswith(".array_record") for name in names)


def measure(folder: str) -> None:
  """Print the cost of the first batch of each size."""
  for seq_length in flags.FLAGS.seq_length:
    for batch_size in flags.FLAGS.batch_size:
      clock, processor = time.perf_counter(), time.process_time()
      store = open_store(folder)
      opened = time.perf_counter() - clock
      make_pipeline(store, seq_length, batch_size).batch(0)
      split = store.split("train")
      print(
        f"S={seq_length} B={batch_size}: store open after {opened:.2f} s, "
        f"first batch after {time.perf_counter() - clock:.2f} s "
        f"({time.process_time() - processor:.2f} s of the processor), "
        f"{count_open_shards()} of {split.num_shards} shards open, "
        f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MB at most"
      )


def main(argv: list[str]) -> None:
  """Write a store, and run this module again to open it."""
  if OPEN.value:
    host_memory.retain()  # as launch.pretrain does
    measure(OPEN.value)
    return
  with tempfile.TemporaryDirectory() as folder:
    make_store(
      pathlib.Path(folder),
      SHARDS.value * BLOCK.value,
      block_tokens=BLOCK.value,
      shard_tokens=1,
    )
    command = [sys.executable, "-m", "benchmarks.data_start", *argv[1:]]
    subprocess.run([*command, f"--open={folder}"], check=True)


if __name__ == "__main__":
  app.run(main)
