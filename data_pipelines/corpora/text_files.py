# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Documents of text and JSON lines, plain or compressed, read line by line.

Every failure names the file and, where there is one, the line.
"""

import io
import itertools
import json
import pathlib
from collections.abc import Iterator

from data_pipelines.corpora.compression import CHUNK, DAMAGE, decompressed
from data_pipelines.corpora.cutting import joined
from data_pipelines.corpora.documents import Document, plain
from data_pipelines.corpora.filesystems import File
from data_pipelines.corpora.records import Reading, Tally

MAX_LINE_BYTES = 1 << 26
_TELL_EVERY = 1 << 16  # bytes; asking at each line costs as much as reading it


def read_text(file: File, reading: Reading, tally: Tally) -> Iterator[Document]:
  """Documents of a .txt file, in order, also the empty ones.

  Raises:
    ValueError: a line that is not UTF-8 or too long; a file that is damaged
      or cut off.
  """
  lines = _decoded(file, reading, tally)
  if reading.documents == "file":
    yield from joined(file.name, (line for _, line in lines), tally)
    return
  for filled, block in itertools.groupby(lines, lambda line: not _blank(line)):
    if filled:
      number, line = next(block)
      rest = (line for _, line in block)
      name = f"{file.name}:{number}"
      yield from joined(name, itertools.chain((line,), rest), tally)


def read_json_lines(
  file: File, reading: Reading, tally: Tally
) -> Iterator[Document]:
  """Documents of a .jsonl file, one a line, in order, also the empty ones.

  Raises:
    ValueError: as `read_text`; a line that is not JSON or has no text.
  """
  for number, line in _decoded(file, reading, tally):
    if not line or line.isspace():
      continue
    place = f"{file.name}:{number}"
    try:
      text = _json_text(line, reading.text_field)
    except ValueError as error:
      reading.bad(tally, place, str(error))
      continue
    yield Document(place, plain(text))


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


def _decoded(
  file: File, reading: Reading, tally: Tally
) -> Iterator[tuple[int, str]]:
  """1-based numbers and characters of the lines, without their ends."""
  for number, data in enumerate(_lines(file, tally), 1):
    if data is None:
      place = f"{file.name}:{number}"
      reading.bad(tally, place, f"a line of over {MAX_LINE_BYTES:,} bytes")
      continue
    if number == 1:
      data = data.removeprefix(b"\xef\xbb\xbf")  # a byte order mark
    try:
      line = data.decode()
    except UnicodeDecodeError as error:
      byte, column = data[error.start], error.start + 1
      what = f"not UTF-8 (byte 0x{byte:02x} at column {column})"
      reading.bad(tally, f"{file.name}:{number}", what)
      continue
    yield number, plain(line.removesuffix("\n").removesuffix("\r"))


def _lines(file: File, tally: Tally) -> Iterator[bytes | bytearray | None]:
  """Lines with their ends; None in place of one that is too long."""
  before, unsaid = tally.position, 0
  with file.opened() as raw:
    try:
      stream = decompressed(file.name, raw)
      while line := stream.readline(CHUNK):
        if len(line) < CHUNK or line.endswith(b"\n"):
          yield line
        else:
          yield from _long_line(stream, line)
        unsaid += len(line)
        if unsaid >= _TELL_EVERY:
          tally.position, unsaid = before + raw.tell(), 0
    except EOFError:
      raise ValueError(f"{file.name} is cut off; fetch it again") from None
    except DAMAGE:
      suffix = pathlib.PurePosixPath(file.name).suffix
      raise ValueError(
        f"{file.name} is damaged, or no {suffix} file; fetch it again"
      ) from None
    tally.position = before + raw.tell()


def _long_line(
  stream: io.BufferedReader, line: bytes
) -> Iterator[bytearray | None]:
  """The line that starts with `line`, or None; the rest of it is read past."""
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
