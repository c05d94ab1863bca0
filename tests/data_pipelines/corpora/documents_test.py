# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import hashlib
import random

from data_pipelines.corpora import documents
from data_pipelines.corpora.reading import ReadCounts


def test_document_hash_orders_and_splits_by_text_alone():
  digests = [documents.digest(f"text {i}") for i in range(2000)]
  assert documents.digest("text 7") == digests[7]
  # White space is no part of the text.
  assert documents.digest("\u3000text\n\n7\u00a0") == digests[7]
  assert documents.digest("text7") != digests[7]
  shares = [documents.share(digest) for digest in digests]
  assert all(0 <= share < 1 for share in shares)
  # A share of 0.1 takes 200 of 2,000, within five standard deviations.
  assert abs(sum(share < 0.1 for share in shares) - 200) < 5 * 180**0.5
  # Order and split are independent: both halves hold as many.
  first = sorted(range(2000), key=lambda i: documents.order(digests[i]))[:1000]
  taken = sum(shares[i] < 0.5 for i in first)
  assert abs(taken - 500) < 5 * 250**0.5


def test_clean_text_counts_the_nuls_that_it_removes():
  counts = ReadCounts()
  assert documents.clean_text("a\0b\r\nc\rd\fe\0", counts) == "ab\nc\nd\ne"
  assert documents.clean_text("plain", counts) == "plain"
  assert counts == ReadCounts(nuls=2)


def test_the_digest_is_that_of_single_spaced_text():
  rng = random.Random(0)
  spaces = [chr(c) for c in range(0x110000) if chr(c).isspace()]
  wide = documents.WIDE_SPACE.findall("".join(map(chr, range(0x110000))))
  assert wide == [space for space in spaces if ord(space) > 127]
  for alphabet in ([*"ab  \n\t\r"], ["é", " ", *spaces]):
    for _ in range(500):
      text = "".join(rng.choices(alphabet, k=rng.randrange(40)))
      words = " ".join(text.split())
      assert documents.digest(text) == documents.digest(words)
      assert (
        documents.digest(words)
        == hashlib.blake2b(words.encode(), digest_size=16).digest()
      )
