# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Fill in [MASK] with a pre-trained bundle, or apply a fine-tuned model.

    python -m launch.predict --bundle=WORKDIR/model --input=tickets.jsonl \
      --output=labels.jsonl
    python -m launch.predict --bundle=WORKDIR/model --text="Where is my card?"
    python -m launch.predict --bundle=DIR --text="Who was it?" \
      --text_pair="It was Ada."
    python -m launch.predict --bundle=DIR --text="Return a new [MASK] object."

--input takes a table, tfds:NAME:SPLIT, hf:NAME[:CONFIG]:SPLIT, or "-" for lines
of JSON on standard input. A model reads the files of its task, too: the columns
of CoNLL, whose tags are not read, or rows with a list of words; the JSON of
SQuAD, or rows with a question and its context; the original files of GLUE; and
the JSON of CLINC150, of which --split=test is read. --format=NAME reads a file
in one of these forms, whatever its name and the model. --output
gets a line of JSON for each row, in order: words have their tags, and a
question its id; --output=FILE.json of SQuAD is {id: answer}, as the official
script takes it. A rerun after a kill goes on where it was. --text may be given
several times, each with its --text_pair where a model reads pairs: a question
and its context, a premise and a hypothesis. A model that chooses reads
--choice, which is given for each choice, beside one --text.
"""

import pathlib
from collections.abc import Sequence

from absl import flags

from bertjax.checkpoints.bundle import RECORD, read_bundle_info
from bertjax.finetune.task import Answer
from bertjax.trials.markdown import markdown
from data_pipelines.tokenizers import tokenizers
from launch import cli, tasks
from launch.hosts import compile_cache
from launch.inference import forms, input_flags
from launch.inference.checks import check_texts
from launch.inference.encoding import Texts
from launch.inference.labeling import (
  TOP_K,
  Options,
  check_alternatives,
  check_top_k,
  check_verb,
  label_file,
)
from launch.inference.masks import MASK, fill_mask
from launch.inference.predictor import Predictor, load_predictor
from launch.inference.records import shorten
from launch.preflight import policy as policies
from launch.preflight.policy import DEFAULT, Policy

__all__ = ["answer", "fill_mask", "load_predictor"]

FILL_MASK = "fill_mask"
VERBS = {task.verb: task for task in tasks.TASKS.values()}
# Old name of a flag → its name.
RENAMED = {"table": "input"}


def answer(
  bundle: str,
  texts: Sequence[str],
  pairs: Sequence[str] | None = None,
  *,
  choices: Sequence[Sequence[str]] | None = None,
  verb: str | None = None,
  top_k: int | None = None,
  policy: Policy = DEFAULT,
) -> list[list[Answer]]:
  """Return the likeliest answers of a fine-tuned model to every text.

  Warns of texts that are cut, and of unknown tokens.

  Args:
    bundle: folder of the fine-tuned model.
    texts: texts to read.
    pairs: the second text of each, for a model that reads pairs; for one that
      chooses, what all choices of a text begin with.
    choices: the choices of each text, for a model that chooses.
    verb: verb that the model's task must have; None allows any.
    top_k: largest number of answers for each text, where they are alternatives;
      None is 3.
    policy: limits of the checks.

  Raises:
    ValueError: `bundle` is not a fine-tuned model, has another verb, reads
      texts of another form, or has answers that are no alternatives.
  """
  predictor = load_predictor(bundle)
  check_verb(bundle, predictor, verb)
  check_alternatives(predictor, top_k)
  return _answer(
    predictor,
    Texts(texts, pairs, choices),
    3 if top_k is None else top_k,
    policy,
  )


def _answer(
  predictor: Predictor, texts: Texts, top_k: int | None, policy: Policy
) -> list[list[Answer]]:
  top_k = check_top_k(top_k)
  predictor.check(texts)
  encoded = predictor.encode(texts)
  seq_length = predictor.model.head.seq_length
  check_texts(encoded.encoded, len(texts), seq_length, policy)
  found = predictor.finish(predictor.start(encoded)) if len(texts) else []
  task = predictor.model.task
  return [shorten(task, answers, top_k) for answers in found]


def run(
  task: str | None,
  bundle: str,
  texts: Texts,
  top_k: int | None = None,
  policy: Policy = DEFAULT,
  *,
  calibrate: bool = False,
) -> None:
  """Print the answers to texts.

  Args:
    task: verb of the model's task; None allows any, and fills in masks with a
      bundle that is not fine-tuned.
    bundle: folder of the model.
    texts: texts to read.
    top_k: largest number of answers, where they are alternatives; None is 5.
    policy: limits of the checks.
    calibrate: whether logits are divided by the model's temperature.

  Raises:
    ValueError: an argument cannot be used.
  """
  if not len(texts):
    raise ValueError("give the text to read by --text, or a file by --input")
  if task is None and _has_masks(bundle, texts):
    task = FILL_MASK
  if task != FILL_MASK:
    predictor = load_predictor(bundle, calibrate=calibrate)
    check_verb(bundle, predictor, task)
    check_alternatives(predictor, top_k)
    columns = predictor.model.task.answer_columns
    found = _answer(predictor, texts, top_k, policy)
    for text, answers in zip(texts.texts, found, strict=True):
      _show(text, columns, answers)
    return
  if texts.pairs or texts.choices:
    raise ValueError(
      f"--task={FILL_MASK} reads single texts; leave out --text_pair and "
      "--choice"
    )
  if calibrate:
    raise ValueError(
      f"--calibrate is of fine-tuned models, and --task={FILL_MASK} has no "
      "temperature; leave --calibrate out"
    )
  for text in texts.texts:
    found = fill_mask(bundle, text, top_k=top_k, policy=policy)
    for number, answers in enumerate(found, 1):
      _show(text, (f"{MASK} {number}", "probability"), answers)


def _has_masks(bundle: str, texts: Texts) -> bool:
  """Return whether a bundle is only pre-trained and a text has a mask."""
  if not (pathlib.Path(bundle) / RECORD).is_file():
    return False
  info = read_bundle_info(bundle)
  if info.details.task is not None:
    return False
  tokenizer = tokenizers.load(info.tokenizer_path)
  masks = {MASK, tokenizer.tokens[tokenizer.mask_id]}
  return any(mask in text for text in texts.texts for mask in masks)


def _read_texts(values: flags.FlagValues) -> Texts:
  texts, pairs, choices = values.text, values.text_pair, values.choice
  if texts and pairs and len(pairs) != len(texts):
    raise ValueError(
      f"--text_pair is given {len(pairs)} times, and --text {len(texts)} times;"
      " give a --text_pair for each --text"
    )
  if choices and len(texts) > 1:
    raise ValueError(
      f"--choice is of one text, and --text is given {len(texts)} times; give "
      "one --text, or a table by --input and --choice_columns"
    )
  for flag, given in (("text", texts), ("text_pair", pairs)):
    if any(not text.strip() for text in given):
      raise ValueError(f"--{flag} is given without a text; give one")
  return Texts(texts, pairs or None, [choices] if choices else None)


def _show(text: str, columns: Sequence[str], answers: Sequence[Answer]) -> None:
  print(text)
  if not answers:  # a text may have no entity
    print(f"no {columns[0]} is found", flush=True)
    return
  print(
    markdown(
      columns,
      [
        [
          f"{cell:.4f}" if isinstance(cell, float) else str(cell)
          for cell in each
        ]
        for each in answers
      ],
    ),
    flush=True,
  )


def define_flags() -> None:
  """Define the flags; not at import, because others call `answer`."""
  flags.DEFINE_enum(
    "task",
    None,
    (FILL_MASK, *VERBS),
    "Task of the model; by default that of a fine-tuned model, and "
    f"{FILL_MASK} for another one.",
  )
  flags.DEFINE_string("bundle", None, "Folder of a bundle.", required=True)
  flags.DEFINE_multi_string(
    "text",
    [],
    f"Text to read, which contains {MASK} for {FILL_MASK}; repeatable.",
  )
  flags.DEFINE_multi_string(
    "text_pair",
    [],
    "The second text of each --text, in their order: the context of a question,"
    " or a hypothesis; or what all choices begin with.",
  )
  flags.DEFINE_multi_string(
    "choice", [], "A choice among which a model finds one; repeatable."
  )
  flags.DEFINE_bool(
    "calibrate",
    False,
    "Divide logits by the temperature that fine-tuning found on dev, so that "
    "probabilities are how often answers are right.",
  )
  flags.DEFINE_integer(
    "top_k",
    None,
    "Largest number of answers to show, where they are alternatives, by default"
    f" {TOP_K}. Labels that are given are all shown.",
  )
  input_flags.define("labels.jsonl; by default they are printed")
  policies.define_flags()


def main(_: Sequence[str]) -> None:
  """Answer the texts of the flags."""
  compile_cache.keep(tells="new")
  values = flags.FLAGS
  policy = policies.from_flags()
  source = input_flags.read_source(values)
  if source is None:
    run(
      values.task,
      values.bundle,
      _read_texts(values),
      values.top_k,
      policy,
      calibrate=values.calibrate,
    )
    return
  for name in ("text", "text_pair", "choice"):
    if values[name].value:
      raise ValueError(f"--{name} and --input are both given; give one of them")
  if values.task == FILL_MASK:
    raise ValueError(f"--task={FILL_MASK} reads no --input; give --text")
  columns = ("text_column", "text_pair_column", "choice_columns")
  source = forms.fit(
    source,
    read_bundle_info(values.bundle).details,
    values.format,
    values.split,
    next((name for name in columns if values[name].present), ""),
  )
  label_file(
    values.bundle,
    source,
    values.output,
    Options(
      values.task,
      values.top_k,
      values.batch_size,
      values.pack,
      values.calibrate,
      policy,
    ),
  )


if __name__ == "__main__":
  define_flags()
  cli.run(
    main,
    when_interrupted="run the same command again to continue an --output",
    renamed_flags=RENAMED,
  )
