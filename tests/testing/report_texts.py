# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Stores of given texts, made in a moment."""

import io
import itertools
import pathlib

import numpy as np
from sentencepiece import SentencePieceTrainer

from data_pipelines.store.manifest import (
  Manifest,
  TokenizerEntry,
  write_manifest,
)
from data_pipelines.store.store import open_store
from data_pipelines.store.store_writer import SplitWriter
from data_pipelines.tokenizers.sentencepiece_model import SentencePiece
from data_pipelines.tokenizers.wordpiece import WordPiece

HOSTILE = "<script>alert(1)</script> & \"https://evil.example/a.js\" 'x'"
WORDS = (
  *("the", "cod", "sees", "a", "pike", "and", "an", "eel", "finds"),
  *("old", "ash", "by", "our", "wide", "river"),
)
TOKENS = (
  *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[unused0]"),
  *("<script>", *"<>/()&\"':.,", "script", "alert", "1", "https"),
  *("evil", "##s", "example", "js", "x", "never", *WORDS),
)


def wordpiece():
  return WordPiece(TOKENS)


def sentencepiece(documents, **options):
  """A unigram model that falls back on bytes; options are the trainer's."""
  model = io.BytesIO()
  SentencePieceTrainer.train(
    sentence_iterator=itertools.chain(*documents),
    model_writer=model,
    vocab_size=320,
    byte_fallback=True,
    hard_vocab_limit=False,
    pad_id=0,
    unk_id=1,
    bos_id=-1,
    eos_id=-1,
    control_symbols=["<cls>", "<sep>", "<mask>"],
    minloglevel=2,
    **options,
  )
  return SentencePiece(model.getvalue())


def draw_documents(count, seed=0, most=6):
  """Documents of 1 to `most` sentences of known words, and hostile ones."""
  rng = np.random.default_rng(seed)
  documents = [
    [
      " ".join(rng.choice(WORDS, rng.integers(2, 14))) + "."
      for _ in range(rng.integers(1, most + 1))
    ]
    for _ in range(count)
  ]
  documents[0][0] = HOSTILE
  return documents


def make_store(folder, splits, tokenizer, source=None, **sizes):
  """Open a store of texts: by split and document, its sentences."""
  folder = pathlib.Path(folder)
  folder.mkdir(parents=True)
  entries = {}
  for name, documents in splits.items():
    writer = SplitWriter(folder, name, tokenizer.vocab_size, **sizes)
    for sentences in documents:
      writer.add_flat(*tokenizer.encode_flat(sentences))
    entries[name] = writer.finish()
  tokenizer.save(folder / "tokenizer")
  names = ("pad", "unk", "cls", "sep", "mask")
  entry = TokenizerEntry(
    tokenizer.name,
    tokenizer.sha256,
    tokenizer.vocab_size,
    {name: getattr(tokenizer, f"{name}_id") for name in names},
  )
  source = source or {
    "recipe": {"corpus": {"files": 2}},
    "empty_documents": 3,
  }
  write_manifest(folder, Manifest(source, entry, entries))
  return open_store(folder)


TRAIN = draw_documents(150)
VALIDATION = draw_documents(20, seed=1)
SOURCE = {
  "recipe": {"corpus": {"files": 2}, "skip": True},
  "empty_documents": 3,
  "short_documents": 1_234_567,
  "never_heard_of": 0,
}
