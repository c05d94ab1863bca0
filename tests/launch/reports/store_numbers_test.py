# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import collections
import itertools

import numpy as np
import pytest

from tests.testing import report_texts


def test_numbers_are_those_of_the_text(store, report):
  tokenizer = report_texts.wordpiece()
  for name, documents in (
    ("train", report_texts.TRAIN),
    ("validation", report_texts.VALIDATION),
  ):
    split = report["splits"][name]
    ids = [
      [
        [int(id_) for id_ in sentence]
        for sentence in tokenizer.encode(document)
      ]
      for document in documents
    ]
    flat = [id_ for d in ids for sentence in d for id_ in sentence]
    sizes = {
      "sentences_per_document": [len(document) for document in ids],
      "tokens_per_sentence": [len(s) for document in ids for s in document],
      "tokens_per_document": [sum(map(len, document)) for document in ids],
    }
    assert split["documents"] == len(documents)
    assert split["sentences"] == len(sizes["tokens_per_sentence"])
    assert split["tokens"] == len(flat)
    single = sizes["sentences_per_document"].count(1)
    assert split["one_sentence_documents"] == single / len(documents)
    unknown = flat.count(tokenizer.unk_id)
    assert split["unknown_tokens"] == unknown
    assert split["unknown_rate"] == unknown / len(flat)
    words = sum(not tokenizer.tokens[id_].startswith("##") for id_ in flat)
    assert split["fertility"] == len(flat) / words
    for key, numbers in sizes.items():
      check_sizes(split[key], numbers)
    files = [*store.path.glob(f"{name}.*"), *store.path.glob(f"{name}-*")]
    size = sum(file.stat().st_size for file in files)
    assert split["bytes_per_token"] == size / len(flat)
  check_vocabulary(report["vocabulary"], tokenizer)
  assert report["counts"] == {
    name: value
    for name, value in report_texts.SOURCE.items()
    if name != "recipe"
  }


def check_sizes(shown, numbers):
  assert shown["mean"] == pytest.approx(np.mean(numbers))
  assert shown["max"] == max(numbers)
  for percent, value in shown["percentiles"].items():
    truth = np.percentile(numbers, int(percent), method="inverted_cdf")
    assert value == truth
  counts = np.histogram(numbers, shown["edges"])[0]
  assert shown["counts"] == counts.tolist()
  assert sum(shown["counts"]) == len(numbers)


def check_vocabulary(shown, tokenizer):
  ids = itertools.chain.from_iterable(
    sentence.tolist()
    for d in report_texts.TRAIN
    for sentence in tokenizer.encode(d)
  )
  counts = collections.Counter(ids)
  ordinary = tokenizer.vocabulary().ordinary_W.tolist()
  assert shown["ordinary"] == len(ordinary)
  assert shown["never"] == sum(id_ not in counts for id_ in ordinary) > 0
  known = {tokenizer.tokens[id_]: count for id_, count in counts.items()}
  for token in shown["commonest"]:
    assert token["count"] == known[token["piece"]]
    assert token["share"] == token["count"] / counts.total()
  most = sorted(counts.values(), reverse=True)
  assert [p["count"] for p in shown["commonest"]] == most[:40]
  for point in shown["coverage"]:
    assert point["share"] == sum(most[: point["pieces"]]) / counts.total()
  assert shown["coverage"][-1]["share"] == 1
