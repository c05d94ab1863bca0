# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The tokenizer that a run keeps in its workdir."""

from data_pipelines.store.store import open_store
from data_pipelines.tokenizers import tokenizers
from launch.run import restoring


def test_a_tokenizer_that_is_not_the_stores_is_replaced(store, tmp_path):
  """After a kill in the middle of the copy, or with a store prepared again."""
  opened = open_store(store)
  sha256 = tokenizers.load(opened.tokenizer_path).sha256
  kept = tmp_path / "tokenizer"
  for damage in ("cut", "other"):
    kept.mkdir(exist_ok=True)
    if damage == "other":
      pieces = (kept / "vocab.txt").read_text().splitlines()
      pieces[-2:] = pieces[:-3:-1]
      (kept / "vocab.txt").write_text("\n".join(pieces) + "\n")
    restoring.keep_tokenizer(opened.tokenizer_path, kept, sha256)
    assert tokenizers.load(kept).sha256 == sha256, damage
    assert not kept.with_name("tokenizer.partial").exists()
