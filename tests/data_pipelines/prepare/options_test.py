# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Mistakes in the options of preparing."""

import dataclasses

import pytest

from data_pipelines.prepare import prepare


@pytest.mark.parametrize(
  ("change", "message"),
  [
    ({"sentences": "words"}, "sentences='words'; give one of"),
    ({"documents": "line"}, "documents='line'; give one of"),
    ({"validation": "1.5"}, "validation=1.5; give a share"),
    ({"validation": "nan"}, "validation=nan; give a share"),
    ({"validation": "/nowhere/*.txt"}, "matches no file"),
    ({"corpus": "/nowhere.txt"}, "/nowhere.txt does not exist"),
    ({"tokenizer": "bpe"}, "tokenizer bpe does not exist"),
    ({"vocab_size": 7}, "vocab_size=7, but .* has 80 tokens"),
    ({"workers": -1}, "workers=-1"),
  ],
)
def test_mistakes_in_the_options_are_told_at_once(
  change, message, options, tmp_path
):
  before = sorted(tmp_path.iterdir())
  with pytest.raises(ValueError, match=message):
    prepare.prepare(dataclasses.replace(options, **change))
  assert sorted(tmp_path.iterdir()) == before
