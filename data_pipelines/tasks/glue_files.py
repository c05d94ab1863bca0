# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The files of GLUE in their original folders, read as they are.

They are divided by tabs and never quoted: a `"` is a character.
"""

import dataclasses
import pathlib
import re

from data_pipelines.tasks import typed_rows
from data_pipelines.tasks.glue_tasks import GLUE, UNDECIDED, GlueTask
from data_pipelines.tasks.table_files import BadRow, Columns, read_rows
from data_pipelines.tasks.tables import Rules, Table, read_table

# MRPC as Microsoft distributes it, and the pairs of its training file that
# GLUE takes for dev.
_MSR_TRAIN = "msr_paraphrase_train.txt"
_MSR_TEST = "msr_paraphrase_test.txt"
_MSR_DEV_IDS = ("dev_ids.tsv", "mrpc_dev_ids.tsv")
_INDICES = ("index", "id", "idx")


@dataclasses.dataclass(frozen=True)
class UnlabeledTexts:
  """The rows of a test split, whose labels the benchmark keeps.

  Attributes:
    indices: the index of each row, which its prediction repeats.
    texts: the text of each row.
    pairs: the second text of each row, or None for single texts.
  """

  indices: tuple[str, ...]
  texts: tuple[str, ...]
  pairs: tuple[str, ...] | None


def find_folder(name: str, folder: str) -> pathlib.Path | None:
  """Return the folder of a task: `folder` itself, or one inside it.

  Args:
    name: a name of `GLUE`.
    folder: folder of the task, or of several tasks: `CoLA`, `cola` and
      `STS-B`, `sts_b` are the same names.

  Returns:
    The folder, or None if there is none.

  Raises:
    ValueError: `folder` is no folder, or has two folders of the task.
  """
  root = pathlib.Path(folder)
  if not root.is_dir():
    raise ValueError(
      f"{folder!r} is not a folder; give the folder of the files of GLUE"
    )
  task = GLUE[name]
  names = {_plain(each) for each in (name, task.title, *task.folders)}
  found = [
    path
    for path in sorted(root.iterdir())
    if path.is_dir() and _plain(path.name) in names and _has_files(task, path)
  ]
  if len(found) > 1:
    raise ValueError(
      f"{folder} has two folders of {task.title}: {found[0].name} and "
      f"{found[1].name}; give one of them"
    )
  if found:
    return found[0]
  return root if _has_files(task, root) else None


def read_tables(
  name: str, folder: str, *, skip_bad_rows: bool = False
) -> dict[str, Table]:
  """Read the labeled splits of a task.

  Rows without a gold label (MNLI's "-") are left out and counted.

  Args:
    name: a name of `GLUE`.
    folder: as in `find_folder`, or the name of a data set that has the task,
      such as tfds:glue/cola or hf:nyu-mll/glue:cola.
    skip_bad_rows: whether bad rows are left out and counted, or are errors.

  Returns:
    "train"; "dev", unless MRPC has no list of its rows; and "test" where it
    has labels: that of MRPC as Microsoft distributes it, and the mismatched
    dev split of MNLI.

  Raises:
    ValueError: the task has a test split only; a file is missing or has a bad
      row.
  """
  task = GLUE[name]
  if not task.label:
    raise ValueError(
      f"task.name={name!r} has no labels to learn from: the model of MNLI "
      "answers it (python -m launch.glue --write_test)"
    )
  if typed_rows.is_name(folder):
    return _read_named(task, folder, skip_bad_rows)
  found = find_folder(name, folder)
  if found is None:
    raise ValueError(
      f"{folder} has no {' and no '.join(_train_files(task))} of {task.title}; "
      "give task.folder, the folder of its files or of all tasks of GLUE"
    )
  columns = Columns(task.text, task.label, task.text_pair, task.header, False)
  rules = _rules(task, skip_bad_rows)
  if not (found / "train.tsv").is_file():
    return _read_msr(found, columns, rules)
  files = dict(zip(("dev", "test"), task.dev, strict=False))
  return {
    split: read_table(str(found / file), columns, rules)
    for split, file in {"train": "train.tsv", **files}.items()
    if split != "test" or (found / file).is_file()
  }


def read_test(path: str, task: GlueTask) -> UnlabeledTexts:
  """Read a test split: every row, also one with an empty text.

  Raises:
    ValueError: a row has other columns than the file, or two have one index.
  """
  columns = Columns(task.text, "", task.text_pair, task.header, False)
  indices: dict[str, int] = {}
  texts: list[tuple[str, ...]] = []
  for row in read_rows(path, columns, columns.texts):
    if isinstance(row, BadRow):
      raise ValueError(
        f"{path}:{row.line} {row.wrong}; correct it, because every row of a "
        "test split needs a prediction"
      )
    name = next((each for each in _INDICES if each in row.fields), "")
    index = row.fields[name].strip() if name else str(len(texts))
    if index in indices:
      raise ValueError(
        f"{path}:{row.line} has the index {index} of line {indices[index]}; "
        "give each row one of its own"
      )
    indices[index] = row.line
    texts.append(tuple(row.fields[column] for column in columns.texts))
  if not texts:
    raise ValueError(f"{path} has no rows; fetch it again")
  return UnlabeledTexts(
    tuple(indices),
    tuple(each[0] for each in texts),
    tuple(each[1] for each in texts) if task.text_pair else None,
  )


def find_tests(name: str, folder: pathlib.Path) -> dict[str, pathlib.Path]:
  """Return the test splits that a folder has, by file of their predictions."""
  found = {
    predictions: folder / file
    for file, predictions in GLUE[name].tests.items()
    if (folder / file).is_file()
  }
  if not found and name == "mrpc" and (folder / _MSR_TEST).is_file():
    return {"MRPC.tsv": folder / _MSR_TEST}
  return found


def _plain(name: str) -> str:
  return re.sub(r"[^a-z0-9]", "", name.lower())


def _train_files(task: GlueTask) -> tuple[str, ...]:
  if not task.label:
    return tuple(task.tests)
  return ("train.tsv", *((_MSR_TRAIN,) if task is GLUE["mrpc"] else ()))


def _has_files(task: GlueTask, folder: pathlib.Path) -> bool:
  return any((folder / file).is_file() for file in _train_files(task))


def _rules(task: GlueTask, skip_bad_rows: bool) -> Rules:
  return Rules(
    unlabeled="",
    skip_bad_rows=skip_bad_rows,
    labels=task.labels,
    scores=task.scores,
    undecided=UNDECIDED,
  )


def _read_named(
  task: GlueTask, name: str, skip_bad_rows: bool
) -> dict[str, Table]:
  """Read a task as TFDS and the hub have it."""
  text, pair, label = (task.text, task.text_pair, "label")
  if task.columns:
    text, pair, label = task.columns
  rules = dataclasses.replace(
    _rules(task, skip_bad_rows), labels=task.named or task.labels
  )
  splits = {"train": "train", "dev": "validation"}
  if len(task.dev) > 1:
    splits |= {"dev": "validation_matched", "test": "validation_mismatched"}
  labels = dict(zip(task.named, task.labels, strict=True)) if task.named else {}
  tables = {}
  for split, its_name in splits.items():
    table = read_table(f"{name}:{its_name}", Columns(text, label, pair), rules)
    tables[split] = dataclasses.replace(
      table, labels=tuple(labels.get(each, each) for each in table.labels or ())
    )
  return tables


def _read_msr(
  folder: pathlib.Path, columns: Columns, rules: Rules
) -> dict[str, Table]:
  """Read MRPC as Microsoft distributes it."""
  tables = {"train": read_table(str(folder / _MSR_TRAIN), columns, rules)}
  ids = next(
    (folder / name for name in _MSR_DEV_IDS if (folder / name).is_file()), None
  )
  if ids:
    tables |= _split_by_ids(tables["train"], ids)
  if (folder / _MSR_TEST).is_file():
    tables["test"] = read_table(str(folder / _MSR_TEST), columns, rules)
  return tables


def _split_by_ids(table: Table, ids: pathlib.Path) -> dict[str, Table]:
  """Split a training table into train and dev, whose pairs of ids are given.

  Raises:
    ValueError: `ids` names a pair that the table lacks.
  """
  wanted = {
    tuple(line.strip().split("\t"))
    for line in ids.read_text("utf-8-sig").split("\n")
    if line.strip()
  }
  rows = read_rows(table.path, Columns("#1 ID", "", "#2 ID", quotes=False), ())
  pairs = {
    row.line: (row.fields["#1 ID"], row.fields["#2 ID"])
    for row in rows
    if not isinstance(row, BadRow)
  }
  if missing := wanted - {*pairs.values()}:
    raise ValueError(
      f"{ids} has the pair {' '.join(min(missing))}, which {table.path} lacks; "
      "give files that belong together"
    )
  is_dev = [pairs[line] in wanted for line in table.lines]
  train, dev = (
    table.take([i for i, each in enumerate(is_dev) if each is of_dev])
    for of_dev in (False, True)
  )
  # Rows that were left out are counted once.
  counts = {
    name: getattr(table, name) for name in ("skipped", "stripped_labels")
  }
  return {"train": dataclasses.replace(train, **counts), "dev": dev}
