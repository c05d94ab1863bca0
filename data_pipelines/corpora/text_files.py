# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Read text and JSON lines, plain or compressed, line by line.

Every error names the file and, where there is one, the line.
"""

import io
import itertools
import json
import pathlib
from collections.abc import Iterator

from data_pipelines.corpora.compression import CHUNK, DAMAGE, decompressed
from data_pipelines.corpora.documents import Document, clean_text
from data_pipelines.corpora.filesystems import File
from data_pipelines.corpora.long_documents import join_lines
from data_pipelines.corpora.reading import ReadCounts, ReadOptions

MAX_LINE_BYTES = 1 << 26
_COUNT_EVERY = 1 << 16  # bytes; raw.tell() costs as much as reading a line


def read_text(
  file: File, options: ReadOptions, counts: ReadCounts
) -> Iterator[Document]:
  """Yield the documents of a .txt file in order, empty ones included.

  Raises:
    ValueError: a line that is not UTF-8 or too long; a file that is damaged
      or truncated.
  """
  lines = _decoded_lines(file, options, counts)
  if options.documents == "file":
    yield from join_lines(file.name, (line for _, line in lines), counts)
    return
  for filled, block in itertools.groupby(lines, lambda line: not _blank(line)):
    if filled:
      number, line = next(block)
      rest = (line for _, line in block)
      name = f"{file.name}:{number}"
      yield from join_lines(name, itertools.chain((line,), rest), counts)


def read_json_lines(
  file: File, options: ReadOptions, counts: ReadCounts
) -> Iterator[Document]:
  """Yield the documents of a .jsonl file, one a line, empty ones included.

  Raises:
    ValueError: see `read_text`; also a line that is not JSON or has no text.
  """
  for number, line in _decoded_lines(file, options, counts):
    if not line or line.isspace():
      continue
    place = f"{file.name}:{number}"
    try:
      text = _json_text(line, options.text_field)
    except ValueError as error:
      options.skip_or_raise(counts, place, str(error))
      continue
    yield Document(place, clean_text(text))


def _blank(numbered: tuple[int, str]) -> bool:
  _, line = numbered
  return not line or line.isspace()


def _json_text(line: str, field: str) -> str:
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
  if field not in record:
    fields = ", ".join(sorted(record)[:8]) or "nothing"
    raise ValueError(f'no "{field}" field (it has {fields})')
  text = record[field]
  if not isinstance(text, str):
    raise ValueError(f'"{field}" is a {type(text).__name__}, not a string')
  if not text.isascii():
    try:
      text.encode()
    except UnicodeEncodeError:
      raise ValueError(f'"{field}" holds half a surrogate pair') from None
  return text


def _decoded_lines(
  file: File, options: ReadOptions, counts: ReadCounts
) -> Iterator[tuple[int, str]]:
  """Yield the number of each line, from 1, and its text without line end."""
  for number, data in enumerate(_lines(file, counts), 1):
    if data is None:
      place = f"{file.name}:{number}"
      reason = f"a line of over {MAX_LINE_BYTES:,} bytes"
      options.skip_or_raise(counts, place, reason)
      continue
    if number == 1:
      data = data.removeprefix(b"\xef\xbb\xbf")  # a byte order mark
    try:
      line = data.decode()
    except UnicodeDecodeError as error:
      byte, column = data[error.start], error.start + 1
      reason = f"not UTF-8 (byte 0x{byte:02x} at column {column})"
      options.skip_or_raise(counts, f"{file.name}:{number}", reason)
      continue
    yield number, clean_text(line.removesuffix("\n").removesuffix("\r"))


def _lines(
  file: File, counts: ReadCounts
) -> Iterator[bytes | bytearray | None]:
  """Yield lines with their ends, None in place of a line that is too long."""
  before, uncounted = counts.position, 0
  with file.opened() as raw:
    try:
      stream = decompressed(file.name, raw)
      while line := stream.readline(CHUNK):
        if len(line) < CHUNK or line.endswith(b"\n"):
          yield line
        else:
          yield from _long_line(stream, line)
        uncounted += len(line)
        if uncounted >= _COUNT_EVERY:
          counts.position, uncounted = before + raw.tell(), 0
    except EOFError:
      raise ValueError(f"{file.name} is truncated; fetch it again") from None
    except DAMAGE:
      suffix = pathlib.PurePosixPath(file.name).suffix
      raise ValueError(
        f"{file.name} is damaged or not a {suffix} file; fetch it again"
      ) from None
    counts.position = before + raw.tell()


def _long_line(
  stream: io.BufferedReader, line: bytes
) -> Iterator[bytearray | None]:
  """Yield the whole line that starts with `line`, None if it is too long.

  Afterwards the stream is at the start of the next line.
  """
  grown = bytearray(line)
  while line and not line.endswith(b"\n") and len(grown) <= MAX_LINE_BYTES:
    line = stream.readline(CHUNK)
    grown += line
  if len(grown) <= MAX_LINE_BYTES:
    yield grown
    return
  del grown
  yield None
  while line and not line.endswith(b"\n"):
    line = stream.readline(CHUNK)
