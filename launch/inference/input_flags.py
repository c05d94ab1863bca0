# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The flags of the commands that take files of texts through a model."""

from absl import flags

from data_pipelines.tasks.choice_rows import split_names
from data_pipelines.tasks.clinc_files import SPLITS
from data_pipelines.tasks.table_files import SUFFIXES, Columns
from data_pipelines.tasks.tables import check_columns
from launch.inference.forms import FORMATS
from launch.inference.inputs import STDIN, Source

# Of `Columns`.
COLUMN_FLAGS = {
  "text": "--text_column",
  "text_pair": "--text_pair_column",
  "others": "--choice_columns",
}
# What only a file of texts is read with.
_OF_INPUT = (
  *("output", "text_column", "text_pair_column", "skip_bad_rows"),
  *("choice_columns", "batch_size", "pack", "format", "split"),
)


def define(output: str, *, answers: bool = True) -> None:
  """Define the flags.

  Args:
    output: an example of an output.
    answers: whether a fine-tuned model answers: several texts may share a row,
      and some models choose among texts.
  """
  flags.DEFINE_string(
    "input",
    "",
    f"File of texts ({SUFFIXES}), tfds:NAME:SPLIT, hf:NAME[:CONFIG]:SPLIT, or "
    f"{STDIN} for lines of JSON on standard input.",
  )
  flags.DEFINE_string(
    "output", "", f"File of the results, for example {output}."
  )
  flags.DEFINE_string("text_column", "text", "Column of the texts of --input.")
  flags.DEFINE_string(
    "text_pair_column", "", "Column of the second texts of --input."
  )
  flags.DEFINE_bool(
    "skip_bad_rows", False, "Leave out and count rows that cannot be used."
  )
  flags.DEFINE_integer(
    "batch_size",
    0,
    "Rows of 16 tokens that are computed at once; longer rows are fewer. 0 "
    "suits the devices; other numbers may change the last bits.",
    lower_bound=0,
  )
  if answers:
    flags.DEFINE_enum(
      "format",
      None,
      FORMATS,
      "How --input is read. By default a .conll file is words, and what the "
      "model was fine-tuned on decides for .json, .tsv and .txt; so it does for"
      " rows that have a list of words, or a question and its context.",
    )
    flags.DEFINE_enum(
      "split", None, tuple(SPLITS), "Split of a file of CLINC150; else test."
    )
    flags.DEFINE_string(
      "choice_columns",
      "",
      "Columns of the choices of --input, as ending0,ending1, or the column of "
      "a list. --text_pair_column is what all choices of a row begin with.",
    )
    flags.DEFINE_bool(
      "pack",
      False,
      "Put several short texts into a row, which may change the last bits.",
    )


def read_source(values: flags.FlagValues) -> Source | None:
  """Return the source of the flags; None if they name none.

  Raises:
    ValueError: a flag that is read only with --input is given without it.
  """
  if not values.input:
    for name in _OF_INPUT:
      if name in values and values[name].present:
        raise ValueError(f"--{name} is read only with --input; give that, too")
    return None
  choices = values.choice_columns if "choice_columns" in values else ""
  names = split_names(choices)
  if choices and not names:
    raise ValueError(
      f"--choice_columns={choices!r} has an empty name; give names with commas "
      "between them"
    )
  columns = Columns(
    values.text_column,
    "",
    values.text_pair_column,
    others=names,
    flags=COLUMN_FLAGS,
  )
  check_columns(columns, (*columns.texts, *names))
  return Source(values.input, columns, values.skip_bad_rows)
