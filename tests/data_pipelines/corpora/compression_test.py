# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import gzip
import lzma

import pytest
import zstandard

from data_pipelines.corpora.corpus import Corpus
from tests.testing.json_lines import json_lines

TEXT = "First line.\r\nSecond – line.\n\nNew block.\n"
PACK = {
  "": lambda data: data,
  ".gz": gzip.compress,
  ".xz": lzma.compress,
  ".zst": zstandard.ZstdCompressor().compress,
}


def texts(spec, **options):
  return [document.text for document in Corpus(str(spec), **options)]


@pytest.mark.parametrize("suffix", PACK)
def test_every_format_and_compression_reads_the_same(suffix, tmp_path):
  path = tmp_path / f"a.txt{suffix}"
  path.write_bytes(PACK[suffix](TEXT.encode()))
  plain = TEXT.replace("\r", "")
  assert texts(path) == [plain.removesuffix("\n")]
  blocks = ["First line.\nSecond – line.", "New block."]
  assert texts(path, documents="blank_line") == blocks
  found = list(Corpus(str(path), documents="blank_line"))
  assert [document.name for document in found] == [f"{path}:1", f"{path}:4"]
  lines = tmp_path / f"b.jsonl{suffix}"
  lines.write_bytes(
    PACK[suffix](json_lines({"text": TEXT, "id": 1}, {"text": "b"}) + b"\n")
  )
  assert texts(lines) == [plain, "b"]
  assert next(iter(Corpus(str(lines)))).name == f"{lines}:1"


def test_several_frames_are_one_file(tmp_path):
  for suffix, pack in PACK.items():
    path = tmp_path / f"a.txt{suffix}"
    path.write_bytes(pack(b"one\n" * 9) + pack(b"two\n"))
    assert texts(path) == ["one\n" * 9 + "two"]


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".zst"])
def test_truncated_and_damaged_files_are_named(suffix, tmp_path):
  path = tmp_path / f"a.txt{suffix}"
  data = PACK[suffix](bytes(range(32, 127)) * 500)
  path.write_bytes(data[: len(data) // 2])
  with pytest.raises(ValueError, match=f"a.txt{suffix} is truncated"):
    texts(path, skip_bad_records=True)  # a file is not skipped as a bad record
  path.write_bytes(b"this is no compressed file at all, only its name says so")
  with pytest.raises(ValueError, match=f"not a {suffix} file"):
    texts(path)
  flipped = bytearray(data)
  flipped[len(data) // 2] ^= 0xFF
  path.write_bytes(bytes(flipped))
  with pytest.raises(ValueError, match=r"damaged|truncated|not UTF-8"):
    texts(path)
