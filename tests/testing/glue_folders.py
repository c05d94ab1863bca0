# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Small folders with GLUE's original layouts, quotes and line ends included."""

import pathlib
from collections.abc import Callable, Sequence

from data_pipelines.tasks.glue_tasks import GLUE

_MRPC = "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String"
_STS = (
  "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\t"
  "sentence2"
)
_MNLI = (
  "index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\t"
  "sentence2_binary_parse\tsentence1_parse\tsentence2_parse\tsentence1\t"
  "sentence2"
)
_PAIR = "index\tsentence1\tsentence2"


# (name of a split, row) → a text.
Text = Callable[[str, int], str]


def write(path: pathlib.Path, lines: Sequence[str], end: str = "\n") -> None:
  """Write the lines of a file, and make its folder."""
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_bytes("".join(line + end for line in lines).encode())


def make_text(name: str, row: int) -> str:
  """Return a text with a quote that is never closed."""
  sides = ('"good ', "bad ")
  return f"{sides[row % 2]}{name} {row}"


def make(
  root: pathlib.Path, rows: int = 8, text: Text = make_text
) -> pathlib.Path:
  """Write every task of GLUE; return `root`.

  Args:
    root: folder of the tasks' folders.
    rows: rows of a file.
    text: (name of a split, row) → a text.
  """
  writers = {
    "cola": _cola,
    "sst2": _sst2,
    "mrpc": _mrpc,
    "stsb": _stsb,
    "qqp": _qqp,
    "mnli": _mnli,
    "qnli": _qnli,
    "rte": _rte,
    "wnli": _wnli,
    "ax": _ax,
  }
  for name, writer in writers.items():
    writer(root / GLUE[name].title, rows, text)
  return root


def _cola(folder: pathlib.Path, rows: int, text: Text) -> None:
  for split in ("train", "dev"):
    write(
      folder / f"{split}.tsv",
      [f"gj04\t{i % 2}\t*\t{text(split, i)}" for i in range(rows)],
    )
  lines = [f"{i}\t{text('test', i)}" for i in range(rows)]
  write(folder / "test.tsv", ["index\tsentence", *lines])


def _sst2(folder: pathlib.Path, rows: int, text: Text) -> None:
  for split in ("train", "dev"):
    lines = [f"{text(split, i)} \t{i % 2}" for i in range(rows)]
    write(folder / f"{split}.tsv", ["sentence\tlabel", *lines])
  lines = [f"{i}\t{text('test', i)} " for i in range(rows)]
  write(folder / "test.tsv", ["index\tsentence", *lines])


def _mrpc(folder: pathlib.Path, rows: int, text: Text) -> None:
  """Write MRPC with a byte-order mark and the line ends of Windows."""
  for split in ("train", "dev"):
    lines = [
      f"{i % 2}\t{i}\t{i + 100}\t{text(split, i)}\t{text(split, i + 1)}"
      for i in range(rows)
    ]
    write(folder / f"{split}.tsv", ["\ufeff" + _MRPC, *lines], "\r\n")
  lines = [
    f"{i}\t{i}\t{i + 100}\t{text('test', i)}\t{text('test', i + 1)}"
    for i in range(rows)
  ]
  header = "\ufeff" + _MRPC.replace("Quality", "index")
  write(folder / "test.tsv", [header, *lines], "\r\n")


def write_msr(folder: pathlib.Path, dev: Sequence[int], rows: int = 8) -> None:
  """Write MRPC as Microsoft distributes it; `dev` are the rows of dev."""
  for split in ("train", "test"):
    lines = []
    for i in range(rows):
      texts = f"{make_text(split, i)}\t{make_text(split, i + 1)}"
      lines.append(f"{i % 2}\t{i}\t{i + 100}\t{texts}")
    path = folder / f"msr_paraphrase_{split}.txt"
    write(path, ["\ufeff" + _MRPC, *lines], "\r\n")
  if dev:
    write(folder / "dev_ids.tsv", [f"{i}\t{i + 100}" for i in dev])


def _stsb(folder: pathlib.Path, rows: int, text: Text) -> None:
  def row(split: str, i: int) -> str:
    texts = f"{text(split, i)}\t{text(split, i + 1)}"
    return f"{i}\tmain\tMSRvid\t2012\t{i:04}\tnone\tnone\t{texts}"

  for split in ("train", "dev"):
    lines = [f"{row(split, i)}\t{i % 6 * 0.95:.3f}" for i in range(rows)]
    write(folder / f"{split}.tsv", [_STS + "\tscore", *lines])
  write(folder / "test.tsv", [_STS, *(row("test", i) for i in range(rows))])


def _qqp(folder: pathlib.Path, rows: int, text: Text) -> None:
  """Write QQP, whose training file has a row without all fields."""
  header = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate"
  for split in ("train", "dev"):
    lines = [
      f"{i}\t1\t2\t{text(split, i)}\t{text(split, i + 1)}\t{i % 2}"
      for i in range(rows)
    ]
    broken = ["99\t1\t2\tHow?"] if split == "train" else []
    write(folder / f"{split}.tsv", [header, *broken, *lines])
  lines = [
    f"{i}\t{text('test', i)}\t{text('test', i + 1)}" for i in range(rows)
  ]
  # A question without text needs a prediction, too.
  write(
    folder / "test.tsv", ["id\tquestion1\tquestion2", *lines, f"{rows}\tHow?\t"]
  )


def _mnli(folder: pathlib.Path, rows: int, text: Text) -> None:
  """Write MNLI, whose matched dev split has a row that is undecided."""
  labels = GLUE["mnli"].labels

  def row(split: str, i: int) -> str:
    texts = f"{text(split, i)}\t{text(split, i + 1)}"
    return f"{i}\t{i}n\t{i}\tfiction\t( a )\t( b )\t(S a)\t(S b)\t{texts}"

  for split, annotators in (
    ("train", 1),
    ("dev_matched", 5),
    ("dev_mismatched", 5),
  ):
    given = "".join(f"\tlabel{n}" for n in range(1, annotators + 1))
    lines = [
      row(split, i) + f"\t{labels[i % 3]}" * (annotators + 1)
      for i in range(rows)
    ]
    if split == "dev_matched":
      lines.insert(1, row(split, rows) + "\tneutral" * 5 + "\t-")
    write(folder / f"{split}.tsv", [f"{_MNLI}{given}\tgold_label", *lines])
  for split in ("test_matched", "test_mismatched"):
    lines = [row(split, i) for i in range(rows)]
    write(folder / f"{split}.tsv", [_MNLI, *lines])


def _pairs(
  folder: pathlib.Path,
  rows: int,
  text: Text,
  header: str,
  labels: Sequence[str],
) -> None:
  def row(split: str, i: int) -> str:
    return f"{i}\t{text(split, i)}\t{text(split, i + 1)}"

  for split in ("train", "dev"):
    lines = [f"{row(split, i)}\t{labels[i % 2]}" for i in range(rows)]
    write(folder / f"{split}.tsv", [f"{header}\tlabel", *lines])
  write(folder / "test.tsv", [header, *(row("test", i) for i in range(rows))])


def _qnli(folder: pathlib.Path, rows: int, text: Text) -> None:
  _pairs(folder, rows, text, "index\tquestion\tsentence", GLUE["qnli"].labels)


def _rte(folder: pathlib.Path, rows: int, text: Text) -> None:
  _pairs(folder, rows, text, _PAIR, GLUE["rte"].labels)


def _wnli(folder: pathlib.Path, rows: int, text: Text) -> None:
  _pairs(folder, rows, text, _PAIR, GLUE["wnli"].labels)


def _ax(folder: pathlib.Path, rows: int, text: Text) -> None:
  lines = [f"{i}\t{text('ax', i)}\t{text('ax', i + 1)}" for i in range(rows)]
  write(folder / "diagnostic.tsv", [_PAIR, *lines])
