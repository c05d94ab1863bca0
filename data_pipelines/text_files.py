# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Lines of text files, plain or compressed, and what can be wrong with them.

Every failure names the file and, where there is one, the line.
"""

import contextlib
import dataclasses
import gzip
import io
import json
import lzma
import pathlib
import zlib
from collections.abc import Iterator
from typing import IO, cast

import zstandard

from data_pipelines.documents import Document

COMPRESSIONS = (".gz", ".xz", ".zst")
FORMATS = (".txt", ".jsonl")

_CHUNK = 1 << 20  # bytes


@dataclasses.dataclass
class Tally:
  """What reading has met so far.

  Attributes:
    position: bytes read from the files, as they lie on disk.
    skipped: bad records that were left out.
    empty: documents without text, left out as well.
  """

  position: int = 0
  skipped: int = 0
  empty: int = 0


def text_format(path: pathlib.Path) -> str:
  """Suffix in `FORMATS`, whatever the compression.

  Raises:
    ValueError: neither.
  """
  suffixes = [suffix for suffix in path.suffixes if suffix not in COMPRESSIONS]
  if suffixes and suffixes[-1] in FORMATS:
    return suffixes[-1]
  raise ValueError(
    f"{path} is neither {' nor '.join(FORMATS)}, maybe with "
    f"{', '.join(COMPRESSIONS)}; rename or convert it"
  )


def read_texts(
  path: pathlib.Path, *, documents: str, skip_bad_records: bool, tally: Tally
) -> Iterator[Document]:
  """Documents of one file, in order, also the empty ones.

  Args:
    path: a file of one of `FORMATS`, maybe compressed.
    documents: "file" makes a .txt file one document, "blank_line" starts one
      after each blank line. In .jsonl each line is one.
    skip_bad_records: count bad lines instead of raising.
    tally: counts what is read and what is left out.

  Raises:
    ValueError: a line that is not UTF-8, not JSON or has no text; a file that
      is damaged or cut off.
  """
  lines = _decoded(path, skip_bad_records, tally)
  if text_format(path) == ".jsonl":
    return _json_documents(path, lines, skip_bad_records, tally)
  return _plain_documents(path, lines, documents)


def _plain_documents(
  path: pathlib.Path, lines: Iterator[tuple[int, str]], documents: str
) -> Iterator[Document]:
  if documents == "file":
    yield Document(str(path), "\n".join(line for _, line in lines))
    return
  start, block = 0, list[str]()
  for number, line in lines:
    if line.strip():
      start = start or number
      block.append(line)
    elif block:
      yield Document(f"{path}:{start}", "\n".join(block))
      start, block = 0, []
  if block:
    yield Document(f"{path}:{start}", "\n".join(block))


def _json_documents(
  path: pathlib.Path,
  lines: Iterator[tuple[int, str]],
  skip_bad_records: bool,
  tally: Tally,
) -> Iterator[Document]:
  for number, line in lines:
    if not line.strip():
      continue
    try:
      text = _json_text(line)
    except ValueError as error:
      if not skip_bad_records:
        raise ValueError(f"{path}:{number}: {error}{_SKIP}") from None
      tally.skipped += 1
      continue
    yield Document(f"{path}:{number}", _plain(text))


_SKIP = "; mend it, or leave such out with --skip_bad_records"


def _json_text(line: str) -> str:
  try:
    record = json.loads(line)
  except json.JSONDecodeError as error:
    raise ValueError(
      f"not JSON ({error.msg} at column {error.colno})"
    ) from None
  except RecursionError:
    raise ValueError("not JSON that can be read (nested too deep)") from None
  if not isinstance(record, dict):
    raise ValueError(f"a JSON {type(record).__name__}, not an object")
  if "text" not in record:
    fields = ", ".join(sorted(record)[:8]) or "nothing"
    raise ValueError(f'no "text" field (it has {fields})')
  text = record["text"]
  if not isinstance(text, str):
    raise ValueError(f'"text" is a {type(text).__name__}, not a string')
  try:
    text.encode()
  except UnicodeEncodeError:
    raise ValueError('"text" holds half a surrogate pair') from None
  return text


def _plain(text: str) -> str:
  # Old line ends, and form feeds, which tokenizers drop and so glue words.
  # A NUL is most often half of a UTF-16 character.
  if "\r" in text:
    text = text.replace("\r\n", "\n").replace("\r", "\n")
  return text.replace("\f", "\n").replace("\v", "\n").replace("\0", "")


def _decoded(
  path: pathlib.Path, skip_bad_records: bool, tally: Tally
) -> Iterator[tuple[int, str]]:
  """1-based numbers and characters of the lines, without their ends."""
  for number, data in enumerate(_lines(path, tally), 1):
    if number == 1:
      data = data.removeprefix(b"\xef\xbb\xbf")  # a byte order mark
    try:
      line = data.decode()
    except UnicodeDecodeError as error:
      if not skip_bad_records:
        raise ValueError(
          f"{path}:{number}: not UTF-8 (byte 0x{data[error.start]:02x} at "
          f"column {error.start + 1}){_SKIP}"
        ) from None
      tally.skipped += 1
      continue
    yield number, _plain(line.removesuffix("\n").removesuffix("\r"))


def _lines(path: pathlib.Path, tally: Tally) -> Iterator[bytes]:
  before = tally.position
  with opened(path) as raw:
    try:
      for line in _decompressed(path, raw):
        tally.position = before + raw.tell()
        yield line
    except EOFError:
      raise ValueError(f"{path} is cut off; fetch it again") from None
    except (gzip.BadGzipFile, zlib.error, lzma.LZMAError, zstandard.ZstdError):
      raise ValueError(
        f"{path} is damaged, or no {path.suffix} file; fetch it again"
      ) from None
    tally.position = before + raw.tell()


@contextlib.contextmanager
def opened(path: pathlib.Path) -> Iterator[io.BufferedReader]:
  """A file as it lies on disk.

  Raises:
    ValueError: it cannot be opened or read.
  """
  try:
    with path.open("rb") as file:
      yield file
  except OSError as error:
    raise ValueError(f"cannot read {path}: {error.strerror}") from None


def _decompressed(path: pathlib.Path, raw: IO[bytes]) -> IO[bytes]:
  match path.suffix:
    case ".gz":
      return cast(IO[bytes], gzip.GzipFile(fileobj=raw))
    case ".xz":
      return cast(IO[bytes], lzma.LZMAFile(raw))
    case ".zst":
      return io.BufferedReader(_ZstdReader(raw), _CHUNK)
  return raw


class _ZstdReader(io.RawIOBase):
  """Frames of a .zst file; zstandard's own takes a cut file for a whole one."""

  def __init__(self, raw: IO[bytes]) -> None:
    self._raw = raw
    self._frame: zstandard.ZstdDecompressionObj | None = None
    self._input = b""
    self._output = b""

  def readable(self) -> bool:
    """Whether it can be read: always."""
    return True

  def readinto(self, buffer: bytearray | memoryview) -> int:  # pyright: ignore
    """Fill `buffer` as far as there is text; 0 at the end."""
    while not self._output:
      if not self._input:
        self._input = self._raw.read(_CHUNK)
        if not self._input:
          if self._frame is not None:
            raise EOFError
          return 0
      if self._frame is None:
        self._frame = zstandard.ZstdDecompressor().decompressobj()
      self._output = self._frame.decompress(self._input)
      self._input = self._frame.unused_data
      if self._frame.eof:
        self._frame = None
    count = min(len(buffer), len(self._output))
    buffer[:count] = self._output[:count]
    self._output = self._output[count:]
    return count
