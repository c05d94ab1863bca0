# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Small tokenizers that are learned once for all tests of this folder."""

import pytest

from data_pipelines.tokenizers import kinds, tokenizers
from tests.testing.tokenizer_texts import GENERAL, TEXTS


@pytest.fixture(scope="session")
def trained():
  """A WordPiece vocabulary."""
  return tokenizers.train(TEXTS, "wordpiece", 200)


@pytest.fixture(scope="session")
def spm():
  """A unigram model of SentencePiece."""
  return tokenizers.train(TEXTS, "sentencepiece", 58)


@pytest.fixture(scope="session")
def learned(trained, spm):
  """(kind, lowercase) → tokenizer."""
  made = {("wordpiece", True): trained, ("sentencepiece", True): spm}
  for kind in kinds.BYTE_LEVEL:
    tokenizer = tokenizers.train(TEXTS, kind, 400)
    made.update(dict.fromkeys([(kind, True), (kind, False)], tokenizer))
  for lowercase in (True, False):
    made["albert", lowercase] = tokenizers.train(
      TEXTS, "albert", 58, lowercase=lowercase
    )
  for kind in GENERAL:
    for lowercase in (True, False):
      if (kind, lowercase) not in made:
        made[kind, lowercase] = tokenizers.train(
          TEXTS, kind, 200 if kind == "wordpiece" else 66, lowercase=lowercase
        )
  return made
