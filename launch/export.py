# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Export a trained model: for transformers, sentence-transformers, ONNX, JAX.

  python -m launch.export --bundle=DIR --format=huggingface --output=DIR \
    [--license=apache-2.0] [--dtype=bfloat16] [--[no]for_finetuning]
  python -m launch.export --bundle=DIR --format=sentence_transformers \
    --output=DIR [--pooling=cls|mean|max] [--normalize]
  python -m launch.export --bundle=DIR --format=onnx --output=DIR \
    [--quantize=dynamic|static --calibration=FILE]
  python -m launch.export --workdir=DIR --step=N --format=bundle --output=DIR

Any committed step of a workdir can be exported, also after a run was killed.
The Hugging Face folder of a pre-trained model holds the encoder, the pooler and
both heads, as the BERTs of the hub do: `AutoModel`, `AutoModelForMaskedLM`,
`AutoModelForPreTraining` and `AutoTokenizer` load it. The folder of a
fine-tuned model loads with the class of its head, such as
`AutoModelForSequenceClassification`, and says in config.json what the outputs
mean. README.md says what the model was made from and how to load it.

`SentenceTransformer(DIR)` gives one vector for a text: from the pooling that
was trained with a classifier (for "cls" with the pooler and its tanh), or from
--pooling, where "cls" is the last hidden state of [CLS] itself.

An ONNX folder holds model.onnx and all that one needs to run it elsewhere.
--quantize adds model_quantized.onnx, with integers of 8 bits. What it loses is
measured on the texts of --calibration, printed, and said in README.md. A
fine-tuned model gets the scores of its task there: the file is read as
launch.evaluate reads --split=FILE, whatever the kind of task, unless it has no
labels.

A run without dropout is exported with the rates of BERT, 0.1, unless the model
is fine-tuned already: transformers takes the rates of fine-tuning from
config.json. --nofor_finetuning writes the rates of the run.
"""

import pathlib
from collections.abc import Mapping, Sequence
from dataclasses import fields

from absl import flags

from bertjax.files import naming
from bertjax.interop import huggingface_files
from bertjax.interop.sentence_transformers import POOLINGS
from data_pipelines.tasks.table_files import SUFFIXES
from launch import cli
from launch.commands import output_paths
from launch.exports import bundle as bundle_format
from launch.exports import huggingface, onnx, sentence_transformers
from launch.exports.formats import Format, Options, check_reads
from launch.exports.trained import Path, read_bundle, read_workdir
from launch.hosts import compile_cache
from launch.preflight import policy as policies
from launch.run import ownership

# One module of launch/exports each.
FORMATS: Mapping[str, Format] = {
  huggingface.LAYOUT: huggingface.FORMAT,
  sentence_transformers.LAYOUT: sentence_transformers.FORMAT,
  onnx.LAYOUT: onnx.FORMAT,
  "bundle": bundle_format.FORMAT,
}
# The fields of `Options` that have a flag of their own.
_FLAGS = tuple(f.name for f in fields(Options) if f.name != "policy")


def run(
  *,
  output: Path,
  format: str = "huggingface",
  bundle: Path | None = None,
  workdir: Path | None = None,
  step: int | None = None,
  options: Options | None = None,
) -> pathlib.Path:
  """Write `output` from a bundle, or from a committed step of a workdir.

  Args:
    output: folder to make; an earlier export of this format is replaced.
    format: a key of FORMATS.
    bundle: folder of a bundle; give this or `workdir`.
    workdir: folder of a run, finished or not.
    step: committed step of the workdir; None takes the newest.
    options: what some formats read; none may be given that `format` ignores.

  Returns:
    `output`.

  Raises:
    ValueError: there is nothing to export, `output` is something else, or the
      format cannot hold what the model computes.
  """
  if format not in FORMATS:
    raise ValueError(f"--format={format}; give one of {', '.join(FORMATS)}")
  options = options or Options()
  check_reads(format, FORMATS, options)
  if (bundle is None) == (workdir is None):
    raise ValueError("give either --bundle=DIR or --workdir=DIR")
  if step is not None and workdir is None:
    raise ValueError(f"--step={step} needs --workdir; a bundle has one step")
  output_paths.check_folder("output", output)
  read = {"bundle": bundle, "calibration": options.calibration}
  output_paths.check_outside("output", output, read)
  ownership.check_free("output", output, bundle_format.COMMAND)
  target = pathlib.Path(output)
  FORMATS[format].check(target, options)
  if bundle is not None:
    trained = read_bundle(bundle)
  else:
    trained = read_workdir(pathlib.Path(workdir or ""), step)
  with naming(target):  # libraries do not, where a disk is full
    FORMATS[format].write(trained, target, options)
  return target


def define_flags() -> None:
  """Define the flags; not at import, since `run` has other callers."""
  flags.DEFINE_string("bundle", None, "Folder of the bundle to export.")
  flags.DEFINE_string("workdir", None, "Workdir of a run, instead of a bundle.")
  flags.DEFINE_integer(
    "step", None, "Step of the workdir to export; the newest if not given."
  )
  kinds = "; ".join(f"{name}: {form.summary}" for name, form in FORMATS.items())
  flags.DEFINE_string("format", "huggingface", f"Format to write. {kinds}.")
  flags.DEFINE_string("output", None, "Folder to make.")
  flags.mark_flag_as_required("output")
  _define_options()


def _define_options() -> None:
  """Define a flag for each of _FLAGS, and those of the policy."""
  policies.define_flags()
  flags.DEFINE_string(
    "license",
    None,
    "License of the weights for the model card, as the hub names it; unknown "
    "if not given.",
  )
  flags.DEFINE_string(
    "dtype",
    None,
    "Dtype of the weights in a Hugging Face folder: "
    f"{' or '.join(huggingface_files.DTYPES)}; float32 if not given.",
  )
  flags.DEFINE_bool(
    "for_finetuning",
    None,
    "Write BERT's dropout into config.json where the run had none; the default "
    "for models that are not fine-tuned yet.",
  )
  flags.DEFINE_string(
    "pooling",
    None,
    f"How a text becomes one vector: {', '.join(POOLINGS)}; as it was trained, "
    "or else the mean, if not given.",
  )
  flags.DEFINE_bool("normalize", None, "Give these vectors the length 1.")
  flags.DEFINE_enum(
    "quantize",
    None,
    list(onnx.QUANTIZE),
    "How --format=onnx adds a graph with integers of 8 bits; none if not "
    "given. dynamic measures the range of activations as it runs, static on "
    "the texts of --calibration.",
  )
  flags.DEFINE_string(
    "calibration",
    None,
    "File on which a graph with integers of 8 bits is measured: of the form "
    f"that the model was fine-tuned on, or a table of texts ({SUFFIXES}).",
  )
  flags.DEFINE_string(
    "text_column",
    None,
    "Its column of the texts; that of fine-tuning, or else text, if not given.",
  )
  flags.DEFINE_string(
    "text_pair_column",
    None,
    "Its column of the second texts of pairs; that of fine-tuning if not "
    "given.",
  )
  flags.DEFINE_string(
    "label_column",
    None,
    "Its column of the labels, for the scores of the task; that of fine-tuning "
    "if not given.",
  )


def main(_: Sequence[str]) -> None:
  """Export what the flags say."""
  compile_cache.keep(tells="new")
  given, policy = flags.FLAGS, policies.from_flags()
  target = run(
    output=given.output,
    format=given.format,
    bundle=given.bundle,
    workdir=given.workdir,
    step=given.step,
    options=Options(
      **{name: given[name].value for name in _FLAGS},
      policy=None if policy == policies.DEFAULT else policy,
    ),
  )
  print(f"wrote {target}")


if __name__ == "__main__":
  define_flags()
  cli.run(main)
