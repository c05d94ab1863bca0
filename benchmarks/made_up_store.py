# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Make a store of random ids whose sentences and documents are as in text."""

import pathlib
from typing import Any

import numpy as np

from data_pipelines.store.manifest import (
  Manifest,
  TokenizerEntry,
  write_manifest,
)
from data_pipelines.store.store import Store, open_store
from data_pipelines.store.store_writer import SplitWriter

VOCAB_SIZE = 30522
SPECIALS = {"pad": 0, "unk": 100, "cls": 101, "sep": 102, "mask": 103}
_FIRST = 1000  # the first ordinary token id


def make_store(folder: pathlib.Path, tokens: int, **sizes: Any) -> Store:
  """Write a store of random ids, and open it.

  Args:
    folder: an existing, empty folder.
    tokens: fewest tokens to write. Sentences have 20 tokens on average,
      documents 800.
    **sizes: `block_tokens`, `shard_tokens` and so on of `SplitWriter`.
  """
  rng = np.random.default_rng(0)
  writer = SplitWriter(folder, "train", VOCAB_SIZE, **sizes)
  written = 0
  while written < tokens:
    lengths = rng.geometric(1 / 20, size=rng.geometric(1 / 40))
    writer.add_flat(rng.integers(_FIRST, VOCAB_SIZE, lengths.sum()), lengths)
    written += int(lengths.sum())
  manifest = Manifest(
    source={"corpus": "random ids"},
    tokenizer=TokenizerEntry("none", "0" * 64, VOCAB_SIZE, SPECIALS),
    splits={"train": writer.finish()},
  )
  write_manifest(folder, manifest)
  return open_store(folder)
