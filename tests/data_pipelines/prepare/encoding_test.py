# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import os
import pathlib
import pickle
import subprocess
import sys
import time

import numpy as np
import pytest

from data_pipelines.corpora import documents
from data_pipelines.corpora.sentence_rules import PRIOR, SentenceRules
from data_pipelines.corpora.sentences import split
from data_pipelines.prepare import encoding
from data_pipelines.tokenizers import tokenizers, wordpiece
from data_pipelines.tokenizers.special_tokens import SPECIALS

TOKENS = [*SPECIALS, *"abcdefgh.", *(f"##{c}" for c in "abcdefgh")]
TEXTS = ["Abc def. Gh.", "Bad cafe.\n\nFeed.", "\u200b", "Deaf. " * 30] * 5


@pytest.fixture(scope="module")
def tokenizer():
  return wordpiece.WordPiece(TOKENS)


def hashed(texts):
  for text in texts:
    yield encoding.Hashed(documents.digest(text), text)


@pytest.mark.parametrize("characters", [1, 50, 1 << 18])
def test_documents_come_in_order_however_they_are_batched(
  characters, tokenizer, monkeypatch
):
  monkeypatch.setattr(encoding, "_BATCH_CHARACTERS", characters)
  found = list(
    encoding.encode_documents(
      hashed(TEXTS), encoding.Encoder(tokenizer, "segment")
    )
  )
  assert len(found) == len(TEXTS)
  for text, document in zip(TEXTS, found, strict=True):
    ids = tokenizer.encode(split(text))
    assert document.digest == documents.digest(text)
    assert document.lengths.tolist() == [len(sentence) for sentence in ids]
    assert document.ids.tolist() == np.concatenate([[], *ids]).tolist()
    assert document.ids.dtype == np.uint16


def test_what_was_learned_travels_to_workers_with_an_encoder(tokenizer):
  """Worker processes and Beam get an encoder by pickling it."""
  text = "The abc. Bad cafe. The abc. Def is a bed. A bad. Deaf."
  rules = SentenceRules(learned=frozenset({"abc"}), starters=frozenset({"a"}))
  known = [len(split(text, rules=each)) for each in (PRIOR, rules)]
  assert known[1] < known[0]
  for number, each in zip(known, (PRIOR, rules), strict=True):
    encoder = pickle.loads(
      pickle.dumps(encoding.Encoder(tokenizer, "segment", rules=each))
    )
    (found,) = encoder(list(hashed([text])))
    assert len(found.lengths) == number


def test_workers_read_no_further_ahead_than_they_need(tokenizer, monkeypatch):
  monkeypatch.setattr(encoding, "_BATCH_CHARACTERS", 1)
  taken = 0

  def watched():
    nonlocal taken
    for document in hashed(TEXTS):
      taken += 1
      yield document

  encoded = encoding.encode_documents(
    watched(), encoding.Encoder(tokenizer, "segment"), workers=1
  )
  assert next(encoded).digest == documents.digest(TEXTS[0])
  assert taken == 3
  encoded.close()
  assert taken == 3


class _Deadly(wordpiece.WordPiece):
  """Ends its process; stands for a worker that ran out of memory."""

  def encode_flat(self, texts):
    os._exit(1)

  def __reduce__(self):
    return _Deadly, (self.tokens,)


def test_a_worker_that_dies_is_told():
  encoded = encoding.encode_documents(
    hashed(TEXTS), encoding.Encoder(_Deadly(TOKENS), "lines"), workers=1
  )
  with pytest.raises(OSError, match="a worker process died"):
    list(encoded)


def test_huge_documents_are_not_all_handed_out_at_once(tokenizer, monkeypatch):
  monkeypatch.setattr(encoding, "_BATCH_CHARACTERS", 1)
  monkeypatch.setattr(encoding, "_IN_FLIGHT", 300)
  taken = []

  def watched():
    for document in hashed(["Deaf. " * 30] * 9):
      taken.append(document)
      yield document

  encoded = encoding.encode_documents(
    watched(), encoding.Encoder(tokenizer, "segment"), workers=4
  )
  next(encoded)
  assert len(taken) == 2  # 180 characters each
  encoded.close()


_KILLED = """
import os, signal, sys
from data_pipelines.prepare import encoding
from data_pipelines.tokenizers import wordpiece
def texts():
  for number in range(9):
    if number == 8:
      # The pool has started its workers, and they have something to do.
      os.system(f"ps -o pid= --ppid {os.getpid()} > {sys.argv[1]}")
      os.kill(os.getpid(), signal.SIGKILL)
    yield encoding.Hashed(bytes(16), "abc. " * 70_000)
if __name__ == "__main__":
  tokenizer = wordpiece.WordPiece(%r)
  encoder = encoding.Encoder(tokenizer, "segment")
  list(encoding.encode_documents(texts(), encoder, workers=2))
"""


def test_workers_end_with_a_parent_that_is_killed(tmp_path):
  (tmp_path / "main.py").write_text(_KILLED % (TOKENS,))
  subprocess.run(
    [sys.executable, str(tmp_path / "main.py"), str(tmp_path / "children")],
    check=False,
    cwd=pathlib.Path(__file__).parents[3],
    env={**os.environ, "PYTHONPATH": "."},
  )
  children = (tmp_path / "children").read_text().split()
  assert len(children) >= 2
  alive = lambda pid: pathlib.Path(f"/proc/{pid}/exe").exists()
  deadline = time.monotonic() + 20
  while any(map(alive, children)) and time.monotonic() < deadline:
    time.sleep(0.1)
  assert not any(map(alive, children))


def test_sentences_are_cut_as_they_are_in_their_document():
  """The space before a sentence belongs to its first word."""
  text = "The fox is quick. The fox is lazy, too.\n\nThe dog is lazy."
  tokenizer = tokenizers.train([text] * 4, "roberta", 300)
  (document,) = encoding.Encoder(tokenizer, "segment")([*hashed([text])])
  assert len(document.lengths) == 3
  assert tokenizer.decode(document.ids) == text.replace("\n\n", " ")
  continues_V = tokenizer.vocabulary().continues_V
  # But the first word, which has a special token before it.
  assert (~continues_V[document.ids]).sum() == len(text.split()) - 1
