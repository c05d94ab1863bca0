# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The JSON files of CLINC150: intents, and texts that have none of them.

A file is an object of lists, `train`, `val`, `test` and `oos_…` of each, whose
items are `[text, intent]`. The texts out of scope have the intent "oos", which
is a class like the others (Larson et al., 2019, "An evaluation dataset for
intent classification and out-of-scope prediction", the `oos-train` method).
"""

import json
import pathlib
from collections.abc import Iterator
from typing import Any

from bertjax.files import describe_json, first_line
from data_pipelines.tasks.table_files import BadRow, Row, listed
from data_pipelines.tasks.tables import Table

# The list of each split.
SPLITS = {"train": "train", "dev": "val", "test": "test"}
_OUT_OF_SCOPE = "oos_"
# The file that is taken from a folder with several ones.
_FULL = "data_full.json"


def read_tables(place: str, *, skip_bad_rows: bool = False) -> dict[str, Table]:
  """Read the splits of a file, each with its texts out of scope.

  Args:
    place: path of the file, or of a folder that has it.
    skip_bad_rows: whether items that cannot be used are left out and counted,
      or are errors.

  Returns:
    "train", "dev" and "test". The line of a row is its number in the list, from
    0, and texts out of scope are counted on.

  Raises:
    ValueError: the file is missing or is no such file, or an item is bad.
  """
  path = _find(place)
  lists = _load(path)
  tables = {}
  for split in SPLITS:
    names = _names_of(split, lists)
    tables[split] = _read(path, names, lists, skip_bad_rows)
  return tables


def read_texts(path: str, split: str) -> Iterator[Row | BadRow]:
  """Yield the texts of a split, whose intents are not read.

  Args:
    path: path of the file.
    split: "train", "dev" or "test"; its texts out of scope come last.

  Returns:
    Rows with `text`; lines are those of `read_tables`.

  Raises:
    ValueError: the file is missing or is no such file, or has no such split.
  """
  if split not in SPLITS:
    raise ValueError(f"split={split!r}; give one of {', '.join(SPLITS)}")
  lists = _load(_find(path))
  for line, place, item in _items(_names_of(split, lists), lists):
    if isinstance(item, list) and item:
      yield Row(line, {"text": item[0]})
    else:
      yield BadRow(line, f"({place}) is not [text, intent]")


def _names_of(split: str, lists: dict[str, list[Any]]) -> list[str]:
  name = SPLITS[split]
  return [each for each in (name, _OUT_OF_SCOPE + name) if each in lists]


def _find(place: str) -> pathlib.Path:
  path = pathlib.Path(place)
  if not path.is_dir():
    if not path.is_file():
      raise ValueError(f"{place!r} is not there; give {_FULL} or its folder")
    return path
  found = sorted(path.glob("*.json"))
  full = [each for each in found if each.name == _FULL]
  if len(full or found) != 1:
    names = listed(tuple(each.name for each in found)) or "none"
    raise ValueError(
      f"{place} has no {_FULL} (its .json files: {names}); give the file"
    )
  return (full or found)[0]


def _load(path: pathlib.Path) -> dict[str, list[Any]]:
  try:
    lists = json.loads(path.read_bytes())
  except (ValueError, RecursionError) as error:
    raise ValueError(
      f"{path} is not JSON ({first_line(error)}); fetch it again"
    ) from None
  needed = ", ".join(SPLITS.values())
  if not isinstance(lists, dict) or not {*SPLITS.values()} <= {*lists}:
    found = listed(tuple(lists)) if isinstance(lists, dict) else "no names"
    raise ValueError(
      f"{path} has {found}; a file of CLINC150 has the lists {needed}"
    )
  for name, items in lists.items():
    if not isinstance(items, list):
      raise ValueError(f"{path}: {name} is {describe_json(items)}; give a list")
  return lists


def _read(
  path: pathlib.Path,
  names: list[str],
  lists: dict[str, list[Any]],
  skip_bad_rows: bool,
) -> Table:
  texts, labels, lines, skipped = [], [], [], []
  for line, place, item in _items(names, lists):
    wrong = _wrong(item)
    if not wrong:
      texts.append(item[0])
      labels.append(item[1].strip())
      lines.append(line)
    elif skip_bad_rows:
      skipped.append(f"{path}: {place} {wrong}")
    else:
      raise ValueError(
        f"{path}: {place} {wrong}; correct it, or leave such items out with "
        "--config.task.skip_bad_rows"
      )
  source = f"{path}:{'+'.join(names)}"
  if not texts:
    raise ValueError(f"{source} has no items that can be used; fetch it again")
  return Table(
    source, tuple(texts), None, tuple(labels), tuple(lines), tuple(skipped)
  )


def _items(
  names: list[str], lists: dict[str, list[Any]]
) -> Iterator[tuple[int, str, Any]]:
  """Yield the number, the place and the item of all lists in `names`."""
  line = 0
  for name in names:
    for index, item in enumerate(lists[name]):
      yield line, f"{name}[{index}]", item
      line += 1


def _wrong(item: Any) -> str:
  """Return what is wrong with an item, or ""."""
  if (
    not isinstance(item, list)
    or len(item) != 2
    or not all(isinstance(each, str) for each in item)
  ):
    return "is not [text, intent]"
  text, label = item
  if not text.strip():
    return "has no text"
  return "" if label.strip() else "has no intent"
