# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""All numbers of a store's report, as JSON values."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from bertjax.batch import Vocabulary
from data_pipelines.rows import store_statistics as statistics
from data_pipelines.rows.format_report import FormatReport
from data_pipelines.rows.store_statistics import Tally, TokenStatistics
from data_pipelines.store.store import Split, Store
from data_pipelines.tokenizers import tokenizers
from data_pipelines.tokenizers.vocabulary_extension import load_extension

PERCENTILES = (5, 25, 50, 75, 95, 99)
_TOP_TOKENS = 40
_BINS_PER_DECADE = 10


def collect(store: Store, formats: Iterable[FormatReport]) -> dict[str, Any]:
  """Measure everything that the report shows, except the sample rows."""
  tokenizer = tokenizers.load(store.tokenizer_path)
  vocabulary = tokenizer.vocabulary()
  counts_V = store.token_counts()
  usage = statistics.count_tokens(counts_V, vocabulary)
  return {
    "store_sha256": store.sha256,
    "tokenizer": {
      "name": tokenizer.name,
      "lowercase": tokenizer.lowercase,
      "vocab_size": tokenizer.vocab_size,
      "sha256": tokenizer.sha256,
      "strip_accents": tokenizer.strip_accents,
      "normalization": tokenizer.normalization,
      **_asked(store),
      **_extension(store),
    },
    "counts": store.manifest.counts,
    "passed_over": store.manifest.passed_over,
    "recipe": store.manifest.recipe,
    "splits": {
      # The training split is shown first.
      name: _split(store, store.split(name), vocabulary)
      for name in sorted(store.splits, key=lambda name: (name != "train", name))
      if store.splits[name].num_tokens
    },
    "vocabulary": {
      "ordinary": usage.ordinary,
      "never": usage.never,
      "coverage": _coverage(counts_V, usage),
      "commonest": [
        {
          "piece": tokenizer.letters(tokenizer.tokens[id_]),
          "count": int(counts_V[id_]),
          "share": counts_V[id_] / usage.tokens,
        }
        for id_ in usage.ranked_N[:_TOP_TOKENS].tolist()
      ],
    },
    "pairs": [
      {**pair._asdict(), "expected": pair.expected, "chance": pair.chance}
      for pair in statistics.measure_pairs(store)
    ],
    "formats": [
      {
        "input_format": report.input_format,
        "next_sentence": report.next_sentence,
        "seq_length": report.seq_length,
        **report.values,
      }
      for report in formats
    ],
  }


def _split(
  store: Store, split: Split, vocabulary: Vocabulary
) -> dict[str, Any]:
  entry = store.manifest.splits[split.name]
  texts = statistics.count_texts(split)
  usage = statistics.count_tokens(split.token_counts(), vocabulary)
  return {
    "documents": split.num_documents,
    "sentences": split.num_sentences,
    "tokens": split.num_tokens,
    "blocks": split.num_blocks,
    "shards": split.num_shards,
    "cut_sentences": entry.split_sentences,
    "bytes_per_token": sum(file.bytes for file in entry.files)
    / split.num_tokens,
    "unknown_tokens": usage.unknown,
    "unknown_rate": usage.unknown_rate,
    "fertility": usage.fertility,
    "counted": texts.counted,
    "one_sentence_documents": texts.sentences_per_document.share(1, 1),
    "sentences_per_document": _sizes(texts.sentences_per_document),
    "tokens_per_sentence": _sizes(texts.tokens_per_sentence),
    "tokens_per_document": _sizes(texts.tokens_per_document),
  }


def _sizes(tally: Tally) -> dict[str, Any]:
  edges = _log_edges(tally.percentile(100))
  return {
    "mean": tally.mean,
    "percentiles": {
      str(percent): tally.percentile(percent) for percent in PERCENTILES
    },
    "max": tally.percentile(100),
    "edges": edges.tolist(),
    "counts": tally.histogram(edges).tolist(),
  }


def _log_edges(largest: int) -> np.ndarray:
  """Return whole edges from 1 to beyond `largest`, evenly spaced by logarithm.

  Each bin contains at least one whole number.
  """
  decades = np.log10(largest + 1)
  steps = np.arange(np.ceil(decades * _BINS_PER_DECADE) + 1) / _BINS_PER_DECADE
  edges = np.unique(np.round(10**steps).astype(np.int64))
  return edges[: np.searchsorted(edges, largest, "right") + 1]


def _coverage(
  counts_V: np.ndarray, usage: TokenStatistics
) -> list[dict[str, Any]]:
  """Return which share of the training text the N commonest tokens make up."""
  known = len(usage.ranked_N)
  sums_N = np.cumsum(counts_V[usage.ranked_N])
  steps = np.unique(np.round(np.geomspace(1, known, 60)).astype(np.int64))
  return [
    {"pieces": int(step), "share": int(sums_N[step - 1]) / usage.tokens}
    for step in steps
  ]


def _asked(store: Store) -> dict[str, Any]:
  """Return the tokens asked for, and what was measured of the letters."""
  learned = (store.manifest.recipe.get("tokenizer") or {}).get("size")
  letters = store.manifest.source.get("letters")
  return ({"asked": learned} if learned else {}) | (
    {"letters": letters} if letters else {}
  )


def _extension(store: Store) -> Mapping[str, float]:
  """Return the tokens per word before and after extending the vocabulary."""
  extension = load_extension(store.tokenizer_path)
  if extension is None:
    return {}
  return {
    "fertility_before": extension.before.fertility,
    "fertility_after": extension.after.fertility,
  }
