# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The format of a prepared store: its files, and the constants of its index.

A split is a sequence of documents, a document of sentences, a sentence of
token ids. Documents are in their final, shuffled order and are cut into blocks
of about a million tokens; a record is a run of whole sentences of one block.
One store serves every objective, input format and sequence length.

    manifest.json                      counts and checksums; no clock
    tokenizer/                         the files of the tokenizer
    sentences.json                     what was learned about the ends of
                                       sentences, unless each line is one
    SPLIT-NNNNN-of-NNNNN.array_record  little-endian token ids, uncompressed
    SPLIT.sentences.npy    uint16 [sentences], length in tokens; the top bit
                           marks the rest of a sentence that was too long
    SPLIT.marks.npy        int64 [⌈sentences / 32⌉], first token of every 32nd
    SPLIT.documents.npy    int64 [documents + 1], first sentence of each
    SPLIT.records.npy      int64 [2, records + 1], first sentence and token
    SPLIT.blocks.npy       int64 [blocks + 1, 4], first document, record,
                           sentence and token of each
    SPLIT.piece_counts.npy int64 [V], how often each token id occurs
"""

import numpy as np

FORMAT = "bertjax-store"
# Version 3 hashes documents over their normalized white space, so that their
# order and splits are others, and has sentences.json. The files of a split are
# those of version 2.
VERSION = 3
READABLE = (2, 3)
MANIFEST = "manifest.json"
TOKENIZER = "tokenizer"
SENTENCES = "sentences.json"

MAX_SENTENCE = 512  # tokens
MAX_RECORD = 8192  # tokens
MARKED = 32  # the index has the first token of every 32nd sentence
CONTINUES = np.uint16(1 << 15)
LENGTH = np.uint16(CONTINUES - 1)
INDEX = ("sentences", "marks", "documents", "records", "blocks", "piece_counts")


def token_dtype(vocab_size: int) -> np.dtype:
  """Return the narrowest stored type that holds every id of a vocabulary."""
  return np.dtype("<u2" if vocab_size <= 1 << 16 else "<i4")
