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
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
from absl import flags

from bertjax.checkpoints.bundle import (
  RECORD,
  BundleInfo,
  load_params,
  read_bundle_info,
)
from bertjax.files import sha256_of
from bertjax.finetune import scores
from bertjax.finetune.embeddings import POOLINGS, embed_in_fixed_shapes
from bertjax.finetune.fixed_shapes import FixedShapes, Pending
from bertjax.trials.markdown import markdown
from data_pipelines.tasks.features import EncodedTexts, encode_texts
from data_pipelines.tasks.table_files import Columns
from data_pipelines.tasks.tables import ANY_SCORE, Rules, read_table
from data_pipelines.tokenizers import tokenizers
from launch import cli
from launch.inference import input_flags, stream
from launch.inference.encoding import Encoded, TextTokenizer
from launch.inference.inputs import Source, examine
from launch.inference.outputs import Output
from launch.inference.vectors import SUFFIXES, ArrayRows, write_parquet
from launch.preflight import policy as policies
from launch.preflight.policy import DEFAULT, Policy
from launch.preflight.settle import settle
from launch.preflight.task import judge_texts

# Texts that are encoded together by --compare_poolings.
_AT_ONCE = 4096


@dataclasses.dataclass(frozen=True)
class Options:
  """How texts become vectors.

  Attributes:
    pooling: one of `embeddings.POOLINGS`.
    normalize: whether vectors get the length 1.
    seq_length: tokens of the longest text; 0 is what the model reads.
    batch_size: rows of 16 tokens that are computed at once; 0 suits the
      devices.
    policy: limits of the checks.
  """

  pooling: str = "mean"
  normalize: bool = False
  seq_length: int = 0
  batch_size: int = 0
  policy: Policy = DEFAULT


class Embedder:
  """Gives a vector to each text, by one or several poolings.

  Attributes:
    forward: what computes the vectors.
    width: their length.
  """

  def __init__(
    self, info: BundleInfo, options: Options, poolings: Sequence[str]
  ) -> None:
    task = info.details.task
    most = task["seq_length"] if task else info.model.max_positions
    if options.seq_length > info.model.max_positions:
      raise ValueError(
        f"seq_length={options.seq_length}, and this model reads "
        f"{info.model.max_positions} tokens; give no more"
      )
    self.width = info.model.hidden_size
    self.forward = embed_in_fixed_shapes(
      load_params(info),
      info.model,
      poolings,
      seq_length=options.seq_length or most,
      normalize=options.normalize,
      batch_size=options.batch_size,
    )
    self._tokenizer = TextTokenizer(tokenizers.load(info.tokenizer_path))

  def encode(
    self, texts: Sequence[str], pairs: Sequence[str] | None = None
  ) -> Encoded:
    """Return a window for each text."""
    encoded = encode_texts(
      self._tokenizer, texts, pairs, self.forward.seq_length
    )
    return Encoded(encoded, np.arange(len(texts)))

  def start(self, inputs: Encoded) -> Pending:
    """Begin to compute."""
    return self.forward.start(inputs.features)

  def __call__(self, texts: Sequence[str]) -> Mapping[str, np.ndarray]:
    """Return {pooling: float32 [texts, width]}."""
    started = [
      self.start(self.encode(texts[first : first + _AT_ONCE]))
      for first in range(0, len(texts), _AT_ONCE)
    ]
    parts = [each.read() for each in started]
    return {
      name.removesuffix("_ND"): np.concatenate([part[name] for part in parts])
      for name in parts[0]
    }


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
      embedder.encode,
      embedder.start,
      lambda started, _: started.read()[f"{options.pooling}_ND"],
      embedder.forward.batch_size,
      lambda: embedder.forward.compiled,
    ),
    source,
    examined,
    check=functools.partial(_check, embedder.forward, options.policy),
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
  bundle: str, path: str, columns: Columns, options: Options | None = None
) -> Mapping[str, float]:
  """Return Spearman's correlation of each pooling with scores of pairs.

  Args:
    bundle: folder of the bundle.
    path: a table of pairs of texts and scores.
    columns: its columns; `label` is the score.
    options: how texts become vectors; their pooling does not count.

  Raises:
    ValueError: the bundle or the table cannot be used.
  """
  if not columns.text_pair:
    raise ValueError(
      "--compare_poolings reads pairs of texts; give --text_pair_column"
    )
  table = read_table(path, columns, Rules(scores=ANY_SCORE, unlabeled=""))
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


def _check(
  forward: FixedShapes, policy: Policy, encoded: EncodedTexts, texts: int
) -> None:
  settle(judge_texts(encoded, texts, forward.seq_length, policy), policy)


def define_flags() -> None:
  """Define the flags; not at import, because others call `embed_file`."""
  flags.DEFINE_string("bundle", None, "Folder of a bundle.", required=True)
  input_flags.define("vectors.npy or vectors.parquet", packs=False)
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
  values = flags.FLAGS
  options = Options(
    values.pooling,
    values.normalize,
    values.seq_length,
    values.batch_size,
    policies.from_flags(),
  )
  if values.compare_poolings:
    if values.input or values.output:
      raise ValueError(
        "--compare_poolings writes no vectors; leave --input and --output out"
      )
    columns = Columns(
      values.text_column, values.score_column, values.text_pair_column
    )
    found = compare_poolings(
      values.bundle, values.compare_poolings, columns, options
    )
    _show(found)
    return
  source = input_flags.read_source(values)
  if source is None or not values.output:
    raise ValueError(
      "give --input and --output, or a table to --compare_poolings"
    )
  embed_file(values.bundle, source, values.output, options)


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
