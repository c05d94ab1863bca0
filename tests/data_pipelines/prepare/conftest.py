# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Options of a small store, and the vocabulary that they name."""

import pytest

from data_pipelines.prepare.options import Options
from data_pipelines.tokenizers import tokenizers
from tests.testing.prepared import TEXTS, write_jsonl


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory):
  folder = tmp_path_factory.mktemp("vocabulary")
  tokenizers.train(TEXTS, "wordpiece", 80).save(folder)
  return str(folder)


@pytest.fixture
def options(tmp_path, vocabulary):
  return Options(
    corpus=write_jsonl(tmp_path / "corpus.jsonl", TEXTS),
    output=str(tmp_path / "store"),
    validation="0.2",
    tokenizer=vocabulary,
  )
