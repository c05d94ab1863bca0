# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Write a vector for each text of a file, or compare how vectors are made.

    python -m launch.embed --bundle=DIR --input=texts.jsonl \
      --output=vectors.npy --pooling=mean [--normalize]
    python -m launch.embed --bundle=DIR --compare_poolings=sts_b/dev.tsv \
      --text_column=sentence1 --text_pair_column=sentence2

The bundle is a pre-trained or a fine-tuned one. A rerun after a kill goes on
where it was. --compare_poolings reads pairs of texts with a score of how alike
they are, and prints for each pooling the rank correlation (Spearman) of the
scores with the cosine of the two vectors.
"""

import dataclasses
import functools
import logging
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
from absl import flags

from bertjax.checkpoints.bundle import RECORD, read_bundle_info
from bertjax.files import sha256_of
from bertjax.finetune import scores
from bertjax.finetune.embeddings import POOLINGS
from bertjax.trials.markdown import markdown
from data_pipelines.tasks.table_files import Columns
from data_pipelines.tasks.tables import ANY_SCORE, Rules, Table, read_table
from launch import cli
from launch.commands import output_paths
from launch.hosts import compile_cache
from launch.inference import input_flags, stream
from launch.inference.embedder import Embedder, Options
from launch.inference.inputs import BadRows, Source, examine
from launch.inference.outputs import Output
from launch.inference.progress import rows_are
from launch.inference.vectors import SUFFIXES, ArrayRows, write_parquet
from launch.preflight import policy as policies

# Only vectors that are written are made in a way of the user's.
_OF_VECTORS = ("input", "output", "pooling", "normalize")


def embed_file(
  bundle: str, source: Source, path: str, options: Options | None = None
) -> None:
  """Write a vector for each row of a source, in order.

  Args:
    bundle: folder of the bundle.
    source: the rows.
    path: a .npy file, a row a text, or a .parquet file with the columns `line`
      and `embedding`.
    options: how texts become vectors.

  Raises:
    ValueError: an argument, the source or a row cannot be used, or the file is
      of another input.
  """
  options = options or Options()
  output_paths.check_file("output", path)
  read = {"bundle": bundle, "input": source.path}
  output_paths.check_outside("output", path, read)
  output_path = pathlib.Path(path)
  _check_file(source, output_path)
  examined = examine(source)
  info = read_bundle_info(bundle)
  embedder = Embedder(info, options, [options.pooling])
  identity = {
    **examined.identity,
    "model": sha256_of(pathlib.Path(bundle) / RECORD),
    "pooling": options.pooling,
    "normalize": options.normalize,
    "seq_length": embedder.forward.seq_length,
    "batch_size": embedder.forward.batch_size,
  }
  job = stream.Job(
    stream.Worker(
      lambda texts: embedder.encode(texts.texts, texts.pairs),
      embedder.start,
      lambda started, _: started.read()[f"{options.pooling}_ND"],
      embedder.forward.batch_size,
      lambda: embedder.forward.compiled,
    ),
    source,
    examined,
    check=embedder.check,
  )
  output = Output(output_path, identity)
  shape = examined.rows, embedder.width

  def complete(rows: pathlib.Path) -> None:
    if output_path.suffix == ".parquet":
      write_parquet(rows, output.complete, source)

  job.make_file(output, functools.partial(ArrayRows, shape=shape), complete)


def _check_file(source: Source, path: pathlib.Path) -> None:
  if path.suffix not in SUFFIXES:
    raise ValueError(f"--output={path}; give a {' or '.join(SUFFIXES)} file")
  if source.is_stdin:
    raise ValueError(
      "--input=- has an unknown number of rows, and --output must know it; "
      "give a file"
    )
  if source.columns.text_pair:
    raise ValueError(
      "--text_pair_column is read with --compare_poolings alone: a vector is "
      "of one text"
    )


def compare_poolings(
  bundle: str,
  path: str,
  columns: Columns,
  options: Options | None = None,
  *,
  skip_bad_rows: bool = False,
) -> Mapping[str, float]:
  """Return Spearman's correlation of each pooling with scores of pairs.

  Args:
    bundle: folder of the bundle.
    path: a table of pairs of texts and scores.
    columns: its columns; `label` is the score.
    options: how texts become vectors, but for the pooling and the length.
    skip_bad_rows: whether rows that cannot be used are left out and told.

  Raises:
    ValueError: the bundle or the table cannot be used.
  """
  if not columns.text_pair:
    raise ValueError(
      "--compare_poolings reads pairs of texts; give --text_pair_column"
    )
  rules = Rules(
    scores=ANY_SCORE,
    unlabeled="",
    skip_bad_rows=skip_bad_rows,
    bad_row_fix="to leave out such rows, give --skip_bad_rows",
    score_fix="give a number, or --score_column",
  )
  table = read_table(path, columns, rules)
  if table.skipped:
    logging.warning(
      "%s left out: %s", rows_are(len(table.skipped)), _some(table)
    )
  assert table.pairs is not None
  assert table.labels is not None
  embedder = Embedder(
    read_bundle_info(bundle),
    dataclasses.replace(options or Options(), normalize=True),
    POOLINGS,
  )
  first, second = embedder(table.texts), embedder(table.pairs)
  true_N = np.asarray([float(label) for label in table.labels])
  return {
    name: scores.spearman(
      np.einsum("ND,ND->N", first[name], second[name], dtype=np.float64), true_N
    )
    for name in POOLINGS
  }


def _some(table: Table) -> str:
  """Name the first rows that are left out, and count the others."""
  bad = BadRows()
  for row in table.skipped:
    bad.add(row)
  return str(bad)


def define_flags() -> None:
  """Define the flags; not at import, because others call `embed_file`."""
  flags.DEFINE_string("bundle", None, "Folder of a bundle.", required=True)
  input_flags.define("vectors.npy or vectors.parquet", answers=False)
  flags.DEFINE_enum(
    "pooling",
    "mean",
    POOLINGS,
    "How hidden states become a vector: the last one of [CLS], the mean or the "
    "largest value over the tokens, or the mean over the last four layers.",
  )
  flags.DEFINE_bool("normalize", False, "Give each vector the length 1.")
  flags.DEFINE_integer(
    "seq_length",
    0,
    "Tokens of the longest text; 0 is what the model reads.",
    lower_bound=0,
  )
  flags.DEFINE_string(
    "compare_poolings",
    "",
    "Table of pairs of texts with scores, on which all poolings are compared.",
  )
  flags.DEFINE_string(
    "score_column", "score", "Column of the scores of --compare_poolings."
  )
  policies.define_flags()


def main(_: Sequence[str]) -> None:
  """Embed or compare as the flags say."""
  compile_cache.keep(tells="new")
  values = flags.FLAGS
  options = Options(
    values.pooling,
    values.normalize,
    values.seq_length,
    values.batch_size,
    policies.from_flags(),
  )
  if values.compare_poolings:
    _refuse(values, _OF_VECTORS, "is not read with --compare_poolings")
    columns = Columns(
      values.text_column,
      values.score_column,
      values.text_pair_column,
      flags={**input_flags.COLUMN_FLAGS, "label": "--score_column"},
    )
    found = compare_poolings(
      values.bundle,
      values.compare_poolings,
      columns,
      options,
      skip_bad_rows=values.skip_bad_rows,
    )
    _show(found)
    return
  _refuse(values, ["score_column"], "is read only with --compare_poolings")
  source = input_flags.read_source(values)
  if source is None or not values.output:
    raise ValueError(
      "give --input and --output, or a table to --compare_poolings"
    )
  embed_file(values.bundle, source, values.output, options)


def _refuse(values: flags.FlagValues, names: Sequence[str], why: str) -> None:
  """Refuse flags that have no effect.

  Raises:
    ValueError: one of them is given.
  """
  for name in names:
    if values[name].present:
      raise ValueError(f"--{name} {why}; leave it out")


def _show(found: Mapping[str, float]) -> None:
  rows = [[name, f"{value:.4f}"] for name, value in found.items()]
  print(markdown(["pooling", "Spearman"], rows), flush=True)
  best = max(found, key=lambda name: found[name])
  print(
    f"{best} is best here. Raw [CLS] rarely is: masked language modeling does "
    "not train it to say what a text means (Reimers and Gurevych, 2019, table "
    "1). Vectors for search are made by fine-tuning.",
    flush=True,
  )


if __name__ == "__main__":
  define_flags()
  cli.run(main, when_interrupted="run the same command again to continue")
