# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Input pipelines of other libraries, for tokens already cut into rows.

Each function takes rows [N, S] of token ids, from [CLS] to [SEP], and returns
endless batches of them.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

Batches = Iterator[Any]


def mask_batches(
  batches: Iterator[Mapping[str, np.ndarray]],
  special_ids: Mapping[str, int],
  vocab_size: int,
) -> Batches:
  """Mask 15 % on the host as the collator does: 80 % [MASK], 10 % random."""
  rng = np.random.default_rng(0)
  special_V = np.zeros(vocab_size, bool)
  special_V[list(special_ids.values())] = True
  for batch in batches:
    tokens = batch["tokens_BS"]
    drawn = rng.random(tokens.shape, np.float32)
    chosen = (drawn < 0.15) & ~special_V[tokens]
    labels = np.where(chosen, tokens, -100)
    masked = np.where(
      chosen & (drawn < 0.15 * 0.8), special_ids["mask"], tokens
    )
    at = np.nonzero(chosen & (drawn >= 0.15 * 0.9))
    masked[at] = rng.integers(0, vocab_size, len(at[0]))
    yield {**batch, "tokens_BS": masked, "labels_BS": labels}


def collate(
  rows_NS: np.ndarray,
  batch_size: int,
  special_ids: Mapping[str, int],
  vocab_size: int,
) -> dict[str, Callable[[], Batches]]:
  """Run Hugging Face's DataCollatorForLanguageModeling on each kind of input.

  Raises:
    ImportError: transformers, tokenizers or torch is not installed.
  """
  import tokenizers
  import torch
  import transformers

  names = {token: name for name, token in special_ids.items()}
  vocab = {names.get(token, str(token)): token for token in range(vocab_size)}
  tokenizer = transformers.PreTrainedTokenizerFast(
    tokenizer_object=tokenizers.Tokenizer(
      tokenizers.models.WordLevel(vocab, unk_token="unk")
    ),
    **{f"{name}_token": name for name in special_ids},
  )
  special = np.isin(rows_NS, list(special_ids.values()))
  lists = [
    {"input_ids": row, "special_tokens_mask": mask}
    for row, mask in zip(
      rows_NS.tolist(), special.astype(int).tolist(), strict=True
    )
  ]
  fed = {
    "lists": lists,
    "arrays": list(rows_NS.astype(np.int64)),
    "tensors": list(torch.from_numpy(rows_NS.astype(np.int64))),
  }

  def run(kind: str, form: str) -> Batches:
    collator = transformers.DataCollatorForLanguageModeling(
      tokenizer, return_tensors=kind
    )
    rows, order = fed[form], np.random.default_rng(0)
    while True:
      chosen = order.integers(0, len(rows), batch_size).tolist()
      yield collator([rows[at] for at in chosen])

  return {
    f"collator, {form} to {kind}": lambda kind=kind, form=form: run(kind, form)
    for kind, form in (
      ("np", "lists"),
      ("pt", "lists"),
      ("np", "arrays"),
      ("pt", "tensors"),
    )
  }


def shuffle_and_batch(rows_NS: np.ndarray, batch_size: int) -> Batches:
  """Shuffle and batch the rows with grain's MapDataset.

  Raises:
    ImportError: grain is not installed.
  """
  import grain

  source: Any = rows_NS  # an array is a source of its rows
  dataset = grain.MapDataset.source(source).seed(0).shuffle().repeat()
  # No threads, which would read ahead during the turns of other pipelines.
  return iter(
    dataset.batch(batch_size).to_iter_dataset(
      grain.ReadOptions(num_threads=0, prefetch_buffer_size=0)
    )
  )
