# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Stores in which no two tokens are equal, so that each tells its place.

Token t of a split has id t + FIRST, over all its documents in a row.
"""

import dataclasses
import pathlib

import numpy as np

from data_pipelines.store.layout import LENGTH
from data_pipelines.store.manifest import (
  Manifest,
  TokenizerEntry,
  write_manifest,
)
from data_pipelines.store.store import open_store
from data_pipelines.store.store_writer import SplitWriter
from data_pipelines.tokenizers.template import Template

FIRST = 10
SPECIALS = {"pad": 0, "unk": 1, "cls": 2, "sep": 3, "mask": 4}
BERT = Template.of_bert(SPECIALS["cls"], SPECIALS["sep"])
ROBERTA = Template.doubled(SPECIALS["cls"], SPECIALS["sep"])
TOKENIZER = TokenizerEntry("places", "0" * 64, 200_000, SPECIALS)


def draw_documents(count, seed=0, sentences=12, tokens=9):
  """Sentence lengths of `count` documents, some of one sentence."""
  rng = np.random.default_rng(seed)
  return [
    rng.geometric(1 / tokens, size=rng.integers(1, 2 * sentences))
    for _ in range(count)
  ]


def add_document(writer, sentences):
  """Append a document to a writer, given the token ids of each sentence."""
  ids = [np.asarray(sentence, np.int64) for sentence in sentences]
  writer.add_flat(
    np.concatenate([*ids, np.zeros(0, np.int64)]), [*map(len, ids)]
  )


def write_split(folder, name, documents, **sizes):
  writer = SplitWriter(folder, name, TOKENIZER.vocab_size, **sizes)
  token = FIRST
  for lengths in documents:
    total = int(np.sum(lengths))
    writer.add_flat(np.arange(token, token + total), np.asarray(lengths))
    token += total
  return writer.finish()


def make_store(folder, splits, template=BERT, **sizes):
  """Open a store of the given sentence lengths, by split and document."""
  folder = pathlib.Path(folder)
  folder.mkdir(parents=True)
  entries = {
    name: write_split(folder, name, documents, **sizes)
    for name, documents in splits.items()
  }
  return finish_store(folder, entries, template=template)


def finish_store(
  folder, splits, vocab_size=TOKENIZER.vocab_size, template=BERT
):
  """Write the manifest of the given splits, and open the store."""
  tokenizer = dataclasses.replace(
    TOKENIZER,
    vocab_size=vocab_size,
    template=None if template == BERT else template.to_json(),
  )
  write_manifest(folder, Manifest({"made": "up"}, tokenizer, splits))
  return open_store(folder)


def read_block(split, block):
  """Token ids of a whole block of a split."""
  first, last = split.blocks[block : block + 2, 1]
  return np.concatenate(split.read_records(range(first, last)))


def places(split):
  """Of each token of a split: the number of its sentence, and document."""
  lengths = split.sentences & LENGTH
  sentence_of = np.repeat(np.arange(len(lengths)), lengths)
  document_of = np.repeat(
    np.arange(split.num_documents), np.diff(split.documents)
  )[sentence_of]
  return sentence_of, document_of
