# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Lines of files, plain or compressed.

Every error names the file and, where there is one, the line.
"""

import codecs
import io
import re
from collections.abc import Iterator

from data_pipelines.corpora.compression import (
  CHUNK,
  DAMAGE,
  decompressed,
  suffix_of,
)
from data_pipelines.corpora.documents import clean_text
from data_pipelines.corpora.filesystems import File
from data_pipelines.corpora.reading import ReadCounts, ReadOptions

MAX_LINE_BYTES = 1 << 26
# Bytes of a piece of a longer line: two of them fit into one document.
PIECE_BYTES = 1 << 22
_COUNT_EVERY = 1 << 16  # bytes; raw.tell() costs as much as reading a line
_HEAD = 4096  # bytes that are looked at for NULs
_LAST_SPACE = re.compile(rb".*[ \t]", re.DOTALL)
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def decoded_lines(
  file: File, options: ReadOptions, counts: ReadCounts, *, cut: bool = False
) -> Iterator[tuple[int, str]]:
  """Yield the number of each line, from 1, and its text without line end.

  Args:
    file: a file in UTF-8.
    options: whether bad lines are skipped.
    counts: updated with the position in the file and the skipped lines.
    cut: whether a line of over `MAX_LINE_BYTES` is cut at white space into
      lines of the same number, and not a bad line.

  Raises:
    ValueError: a line that is not UTF-8 or too long; a file that is UTF-16,
      damaged or truncated.
  """
  for number, data in byte_lines(file, options, counts, cut=cut):
    try:
      line = data.decode()
    except UnicodeDecodeError as error:
      byte, column = data[error.start], error.start + 1
      reason = f"not UTF-8 (byte 0x{byte:02x} at column {column})"
      options.skip_or_raise(counts, f"{file.name}:{number}", reason)
      continue
    yield number, clean_text(line.removesuffix("\n").removesuffix("\r"), counts)


def byte_lines(
  file: File, options: ReadOptions, counts: ReadCounts, *, cut: bool = False
) -> Iterator[tuple[int, bytes | bytearray]]:
  """Yield the number of each line, and its bytes with the line end.

  A byte order mark at the start of the file is dropped. See `decoded_lines`.
  """
  before, uncounted, number = counts.position, 0, 1
  with file.opened() as raw:
    try:
      stream = decompressed(file.name, raw, options.zstd_long)
      _skip_mark(file.name, stream)
      while line := stream.readline(CHUNK):
        if len(line) < CHUNK or line.endswith(b"\n"):
          yield number, line
        else:
          for part in _long_line(stream, line, cut=cut):
            if part is None:
              place = f"{file.name}:{number}"
              reason = f"a line of over {MAX_LINE_BYTES:,} bytes"
              options.skip_or_raise(counts, place, reason)
            else:
              counts.position = before + raw.tell()
              yield number, part
        number += 1
        uncounted += len(line)
        if uncounted >= _COUNT_EVERY:
          counts.position, uncounted = before + raw.tell(), 0
    except EOFError:
      raise ValueError(f"{file.name} is truncated; fetch it again") from None
    except DAMAGE:
      raise ValueError(
        f"{file.name} is damaged or not a {suffix_of(file.name)} file; fetch "
        "it again"
      ) from None
    counts.position = before + raw.tell()


def _skip_mark(name: str, stream: io.BufferedReader) -> None:
  """Skip the mark of UTF-8, and refuse a file that begins as UTF-16."""
  head = stream.peek(_HEAD)[:_HEAD]
  _check_encoding(name, head)
  if head.startswith(codecs.BOM_UTF8):
    stream.read(len(codecs.BOM_UTF8))


def _check_encoding(name: str, head: bytes) -> None:
  """Refuse UTF-16: without NULs its ASCII would be read, and no more.

  English has a NUL in every other byte, Cyrillic one for each space.
  """
  nuls = head[::2].count(0), head[1::2].count(0)
  often = max(nuls) >= max(3, len(head) // 40)
  if head.startswith(_UTF16) or (often and min(nuls) == 0):
    raise ValueError(
      f"{name} is UTF-16, not UTF-8; convert it with iconv -f UTF-16LE (or "
      "UTF-16BE) -t UTF-8"
    )


def _long_line(
  stream: io.BufferedReader, line: bytes, *, cut: bool
) -> Iterator[bytes | bytearray | None]:
  """Yield the whole line that starts with `line`; if it is too long, None.

  Afterwards the stream is at the start of the next line.

  Args:
    stream: what follows `line`.
    line: start of the line.
    cut: yield the pieces of a line that is too long instead of None.
  """
  grown = bytearray(line)
  while line and not line.endswith(b"\n"):
    line = stream.readline(CHUNK)
    grown += line
    if len(grown) > MAX_LINE_BYTES:
      break
  else:
    yield grown
    return
  if cut:
    yield from _pieces(stream, grown)
    return
  del grown
  yield None
  while line and not line.endswith(b"\n"):
    line = stream.readline(CHUNK)


def _pieces(stream: io.BufferedReader, grown: bytearray) -> Iterator[bytes]:
  """Yield a long line in pieces, the last one with the line's end."""
  line: bytes | bytearray = grown
  while True:
    while len(grown) > PIECE_BYTES:
      end = _end_of_piece(grown)
      yield bytes(grown[:end])
      del grown[:end]
    if not line or line.endswith(b"\n"):
      break
    line = stream.readline(CHUNK)
    grown += line
  yield bytes(grown)


def _end_of_piece(line: bytearray) -> int:
  spaced = _LAST_SPACE.match(line, PIECE_BYTES // 2, PIECE_BYTES)
  if spaced:
    return spaced.end()
  end = PIECE_BYTES
  while end > PIECE_BYTES - 4 and line[end] & 0xC0 == 0x80:
    end -= 1  # not inside a character
  return end
