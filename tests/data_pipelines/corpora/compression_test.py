# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import bz2
import gzip
import io
import lzma
from typing import Any

import pytest
import zstandard

from data_pipelines.corpora import compression
from data_pipelines.corpora.corpus import Corpus
from tests.testing.json_lines import json_lines
from tests.testing.memory import peak_bytes

TEXT = "First line.\r\nSecond – line.\n\nNew block.\n"
PACK = {
  "": lambda data: data,
  ".gz": gzip.compress,
  ".xz": lzma.compress,
  ".bz2": bz2.compress,
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


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".zst", ".bz2"])
def test_truncated_and_damaged_files_are_named(suffix, tmp_path):
  path = tmp_path / f"a.txt{suffix}"
  data = PACK[suffix](bytes(range(32, 127)) * 500)
  path.write_bytes(data[: len(data) // 2])
  with pytest.raises(ValueError, match=f"a.txt{suffix} is truncated"):
    texts(path, skip_bad_records=True)  # a file is not skipped as a bad record
  path.write_bytes(data + b"and something behind it")
  with pytest.raises(ValueError, match=f"damaged or not a {suffix} file"):
    texts(path)
  path.write_bytes(b"this is no compressed file at all, only its name says so")
  with pytest.raises(ValueError, match=f"not a {suffix} file"):
    texts(path)
  flipped = bytearray(data)
  flipped[len(data) // 2] ^= 0xFF
  path.write_bytes(bytes(flipped))
  with pytest.raises(ValueError, match=r"damaged|truncated|not UTF-8"):
    texts(path)


def zstd_stream(packed):
  raw: Any = io.BytesIO(packed)
  stream: Any = compression.decompressed("a.zst", raw)
  return stream


def test_repetitive_text_in_zst_is_never_held_whole():
  line, peaks = b"the same line of text, again and again\n", []
  for size in (1 << 25, 1 << 26):
    packed = PACK[".zst"](line * (size // len(line)))
    assert len(packed) < 1 << 14

    def read(packed=packed, size=size):
      stream, count = zstd_stream(packed), 0
      while part := stream.read(1 << 16):
        count += len(part)
      assert count == size // len(line) * len(line)

    peaks.append(peak_bytes(read))
  assert peaks[1] < 1.2 * peaks[0] < 1 << 25


def test_what_zst_has_not_given_yet_is_not_copied():
  text = b"the same line of text, again and again\n" * (1 << 19)
  stream = zstd_stream(PACK[".zst"](text))
  reader, first = stream.raw, bytearray(1 << 10)
  reader.readinto(first)
  held = reader._output.obj
  for _ in range(8):
    reader.readinto(first)
    assert reader._output.obj is held  # a view of the same bytes


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".zst", ".bz2"])
def test_many_small_members_are_one_file(suffix, tmp_path):
  lines = [f"line {i}" for i in range(500)]
  path = tmp_path / f"a.txt{suffix}"
  packed = [PACK[suffix](f"{line}\n".encode()) for line in lines]
  path.write_bytes(b"".join(packed))
  assert texts(path) == ["\n".join(lines)]
  if suffix in (".gz", ".xz"):  # which may be padded
    path.write_bytes((b"\0" * 8).join(packed[:9]) + b"\0" * 20_000)
    assert texts(path) == ["\n".join(lines[:9])]


def test_a_large_window_of_zst_is_named_with_its_flag(tmp_path):
  path = tmp_path / "a.txt.zst"
  wide = zstandard.ZstdCompressionParameters(window_log=28, enable_ldm=True)
  packer = zstandard.ZstdCompressor(compression_params=wide).compressobj()
  data = PACK[".zst"](b"one\n") + packer.compress(b"two\n") + packer.flush()
  path.write_bytes(data)
  with pytest.raises(
    ValueError, match=r"a window of 256 MiB; give --zstd_long"
  ):
    texts(path, skip_bad_records=True)
  assert texts(path, zstd_long=28) == ["one\ntwo"]
  path.write_bytes(data[:-3])
  with pytest.raises(ValueError, match=r"a.txt.zst is truncated"):
    texts(path, zstd_long=31)
  with pytest.raises(ValueError, match="zstd_long=26; give 27 to 31"):
    texts(path, zstd_long=26)
  with pytest.raises(ValueError, match="zstd_long=32; give 27 to 31"):
    texts(path, zstd_long=32)
