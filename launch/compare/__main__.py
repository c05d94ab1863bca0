# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Compare runs that no sweep made: their settings, metrics and curves.

    python -m launch.compare RUN RUN … [--output=compare.html]

RUN is the --workdir of a pre-training or of a fine-tuning run, finished or not;
all are of one kind. Prints final and best metrics, the fields of the config
that differ, and a warning where numbers do not compare: other validation rows,
masks, tokenizer or text. The page of --output has the curves beside that.
Fine-tuning runs are compared with the first one, seed by seed.
"""

import pathlib
from collections.abc import Sequence

from absl import flags

from bertjax import files
from launch import cli
from launch.commands import output_paths
from launch.compare.differences import find_differences
from launch.compare.figures import MOST_RUNS
from launch.compare.report import TITLE, to_page, to_text
from launch.compare.runs import Run, read_run


def read_runs(folders: Sequence[str]) -> list[Run]:
  """Read runs of one kind.

  Raises:
    ValueError: there are too few or too many, one twice, one that is no run, or
      runs of both kinds.
  """
  if not 2 <= len(folders) <= MOST_RUNS:
    raise ValueError(
      f"the folders of {len(folders)} runs are given; give 2 to {MOST_RUNS}, "
      "as in python -m launch.compare RUN RUN"
    )
  places = [pathlib.Path(folder).resolve() for folder in folders]
  for number, place in enumerate(places):
    if place in places[:number]:
      raise ValueError(f"{folders[number]} is given twice; give other runs")
  runs = [read_run(folder) for folder in folders]
  for run in runs[1:]:
    if run.kind != runs[0].kind:
      raise ValueError(
        f"{runs[0].folder} is a {runs[0].kind} run and {run.folder} a "
        f"{run.kind} run; give runs of one kind"
      )
  return runs


def define_flags() -> None:
  """Define the flags; not at import, because others call `read_runs`."""
  flags.DEFINE_string("output", "", "File of the page, such as compare.html.")


def main(argv: Sequence[str]) -> None:
  """Compare the runs of the command line."""
  output = flags.FLAGS.output
  output_paths.check_file("output", output)
  output_paths.check_page("output", output, TITLE)
  for folder in argv[1:]:
    output_paths.check_outside("output", output, {"RUN": folder})
  runs = read_runs(argv[1:])
  found = find_differences(runs)
  print(to_text(runs, found), flush=True)
  if not output:
    print("\n--output=compare.html writes a page with the curves", flush=True)
    return
  files.write_text(pathlib.Path(output), to_page(runs, found))
  print(f"\nthe page is {output}", flush=True)


if __name__ == "__main__":
  define_flags()
  cli.run(main, takes="folders")
