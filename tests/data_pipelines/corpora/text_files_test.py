# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import gzip

import pytest

from data_pipelines.corpora.corpus import Corpus


def texts(path, **options):
  return [document.text for document in Corpus(str(path), **options)]


def test_bad_lines_of_plain_text_are_records(tmp_path):
  path = tmp_path / "a.txt.gz"
  path.write_bytes(gzip.compress(b"one\ncaf\xe9\nthree\n"))
  with pytest.raises(ValueError, match=r"a.txt.gz:2: not UTF-8 \(byte 0xe9"):
    texts(path)
  assert texts(path, skip_bad_records=True) == ["one\nthree"]
