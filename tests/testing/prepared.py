# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Texts to prepare, and what a test reads back from a store."""

import hashlib
import itertools
import json
import random

import numpy as np

STORY = "the old man and sea was fishing alone in a small boat of stream"


WORDS = STORY.split()


def make_texts(count, seed=0):
  rng = random.Random(seed)
  sentence = lambda: " ".join(rng.choices(WORDS, k=rng.randint(3, 12))) + "."
  return [
    f"Tale {i}. " + " ".join(
      sentence().capitalize() for _ in range(rng.randint(1, 9))
    )
    for i in range(count)
  ]  # fmt: skip


TEXTS = make_texts(60)


def write_jsonl(path, texts):
  lines = (json.dumps({"text": text}) + "\n" for text in texts)
  path.write_text("".join(lines), encoding="utf-8")
  return str(path)


def files(folder):
  return {
    str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
    for path in sorted(folder.rglob("*"))
    if path.is_file()
  }


def flip(path):
  """Damage a file by one bit."""
  data = bytearray(path.read_bytes())
  data[len(data) // 2] ^= 1
  path.write_bytes(data)


def stored(split):
  """Each document of a split as the ids of its sentences."""
  ids = np.concatenate(split.read_records(range(split.num_records)))
  lengths = (split.sentences & np.uint16(0x7FFF)).astype(int)
  sentence_ids = np.split(ids, np.cumsum(lengths)[:-1])
  starts = split.documents
  return [
    [sentence.tolist() for sentence in sentence_ids[a:b]]
    for a, b in itertools.pairwise(starts)
  ]
