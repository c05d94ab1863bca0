# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Fill in [MASK] with a pre-trained bundle, or apply a fine-tuned model.

    python -m launch.predict --bundle=WORKDIR/model --input=tickets.jsonl \
      --output=labels.jsonl
    python -m launch.predict --bundle=WORKDIR/model --text="Where is my card?"
    python -m launch.predict --task=fill_mask --bundle=DIR \
      --text="Return a new [MASK] object."

--input takes a table, tfds:NAME:SPLIT, hf:NAME[:CONFIG]:SPLIT, or "-" for lines
of JSON on standard input. --output gets a line of JSON for each of its rows, in
order; a rerun after a kill goes on where it was. --text may be given several
times.
"""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from absl import flags

from bertjax.batch import ENCODER_FEATURES, Batch, empty_batch
from bertjax.checkpoints import bundle as bundles
from bertjax.finetune.scores import Guess, guesses, probabilities
from bertjax.finetune.task import Answer
from bertjax.trials.markdown import markdown
from data_pipelines.tokenizers import tokenizers
from data_pipelines.tokenizers.tokenizer import Tokenizer
from launch import cli, tasks
from launch.inference import input_flags
from launch.inference.checks import check_texts
from launch.inference.labeling import (
  Options,
  check_top_k,
  check_verb,
  label_file,
)
from launch.inference.predictor import Predictor, load_predictor
from launch.inference.records import shorten
from launch.preflight import policy as policies
from launch.preflight.policy import DEFAULT, Policy
from launch.preflight.settle import settle
from launch.preflight.task import judge_unknown

__all__ = ["answer", "fill_mask", "load_predictor"]

FILL_MASK = "fill_mask"
VERBS = {task.verb: task for task in tasks.TASKS.values()}
MASK = "[MASK]"
# Old name of a flag → its name.
RENAMED = {"table": "input"}


def fill_mask(
  bundle: str, text: str, *, top_k: int = 5, policy: Policy = DEFAULT
) -> list[list[Guess]]:
  """Return the likeliest tokens for every [MASK] of `text`, in order.

  Probabilities are over the whole vocabulary; special and unused tokens are
  not returned.

  Raises:
    ValueError: `bundle` is not a pre-trained bundle, or `text` has no [MASK]
      or too many tokens.
  """
  check_top_k(top_k)
  info = bundles.read_pretrained(bundle)
  tokenizer = tokenizers.load(info.tokenizer_path)
  ids, places = _with_masks(tokenizer, text)
  if len(ids) > info.model.max_positions:
    raise ValueError(
      f"the text has {len(ids)} tokens, and this model reads "
      f"{info.model.max_positions}; give a shorter one"
    )
  words = len(ids) - len(places) - 2  # without [CLS], [SEP] and [MASK]
  settle([judge_unknown(ids.count(tokenizer.unk_id), words, policy)], policy)
  model, params = bundles.load_bundle(bundle)
  outputs: Any = jax.jit(
    lambda params, row: model.apply(
      {"params": params},
      row,
      np.asarray([places], np.int32),
      deterministic=True,
    )
  )(params, _row(ids))
  # An embedding table may have more rows than there are tokens.
  logits_PV = np.asarray(
    outputs["mlm_logits_BPV"][0, :, : len(tokenizer.tokens)]
  )
  ordinary_W = tokenizer.vocabulary().ordinary_W
  names = [tokenizer.tokens[i] for i in ordinary_W]
  return [
    guesses(probabilities_V[ordinary_W], names)[:top_k]
    for probabilities_V in probabilities(logits_PV)
  ]


def answer(
  bundle: str,
  texts: Sequence[str],
  pairs: Sequence[str] | None = None,
  *,
  verb: str | None = None,
  top_k: int = 3,
  policy: Policy = DEFAULT,
) -> list[list[Answer]]:
  """Return the likeliest answers of a fine-tuned model to every text.

  Warns of texts that are cut, and of unknown tokens.

  Args:
    bundle: folder of the fine-tuned model.
    texts: texts to read.
    pairs: the second text of each, for a model that reads pairs.
    verb: verb that the model's task must have; None allows any.
    top_k: largest number of answers for each text.
    policy: limits of the checks.

  Raises:
    ValueError: `bundle` is not a fine-tuned model, has another verb, or reads
      pairs where single texts are given, or the other way around.
  """
  predictor = load_predictor(bundle)
  check_verb(bundle, predictor, verb)
  return _answer(predictor, texts, pairs, top_k, policy)


def _answer(
  predictor: Predictor,
  texts: Sequence[str],
  pairs: Sequence[str] | None,
  top_k: int,
  policy: Policy,
) -> list[list[Answer]]:
  check_top_k(top_k)
  predictor.check_pairs(pairs is not None)
  encoded = predictor.encode(texts, pairs)
  seq_length = predictor.model.head.seq_length
  check_texts(encoded.encoded, len(texts), seq_length, policy)
  found = predictor.finish(predictor.start(encoded)) if texts else []
  task = predictor.model.task
  return [shorten(task, answers, top_k) for answers in found]


def run(
  task: str | None,
  bundle: str,
  texts: Sequence[str],
  top_k: int,
  policy: Policy = DEFAULT,
  *,
  calibrate: bool = False,
) -> None:
  """Print the answers to texts.

  Raises:
    ValueError: an argument cannot be used.
  """
  if not texts:
    raise ValueError("give the text to read by --text, or a file by --input")
  if task != FILL_MASK:
    predictor = load_predictor(bundle, calibrate=calibrate)
    check_verb(bundle, predictor, task)
    columns = predictor.model.task.answer_columns
    found = _answer(predictor, texts, None, top_k, policy)
    for text, answers in zip(texts, found, strict=True):
      _show(text, columns, answers)
    return
  if calibrate:
    raise ValueError(
      f"--calibrate is of fine-tuned models, and --task={FILL_MASK} has no "
      "temperature; leave --calibrate out"
    )
  for text in texts:
    found = fill_mask(bundle, text, top_k=top_k, policy=policy)
    for number, answers in enumerate(found, 1):
      _show(text, (f"{MASK} {number}", "probability"), answers)


def _with_masks(tokenizer: Tokenizer, text: str) -> tuple[list[int], list[int]]:
  """Return the ids of `[CLS] text [SEP]`, and the positions of its masks."""
  parts = text.split(MASK)
  if len(parts) == 1:
    raise ValueError(
      f"the text has no {MASK}; write one for each token to fill in: {text!r}"
    )
  ids, places = [tokenizer.cls_id], []
  for number, part_ids in enumerate(tokenizer.encode(parts)):
    if number:
      places.append(len(ids))
      ids.append(tokenizer.mask_id)
    ids += part_ids.tolist()
  return [*ids, tokenizer.sep_id], places


def _row(ids: Sequence[int]) -> Batch:
  row = empty_batch(ENCODER_FEATURES, {"B": 1, "S": len(ids), "R": 1})
  row["tokens_BS"][0] = ids
  row["positions_BS"][0] = np.arange(len(ids))
  row["packs_BS"][...] = 1
  return row


def _show(text: str, columns: Sequence[str], answers: Sequence[Answer]) -> None:
  print(text)
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
    "Task of the model; by default that of a fine-tuned model.",
  )
  flags.DEFINE_string("bundle", None, "Folder of a bundle.", required=True)
  flags.DEFINE_multi_string(
    "text",
    [],
    f"Text to read, which contains {MASK} for {FILL_MASK}; repeatable. Pairs "
    "of texts, such as questions and their contexts, need --input.",
  )
  flags.DEFINE_bool(
    "calibrate",
    False,
    "Divide logits by the temperature that fine-tuning found on dev, so that "
    "probabilities are how often answers are right.",
  )
  flags.DEFINE_integer(
    "top_k",
    5,
    "Largest number of answers to show; labels that are given are all shown.",
  )
  input_flags.define("labels.jsonl; by default they are printed")
  policies.define_flags()


def main(_: Sequence[str]) -> None:
  """Answer the texts of the flags."""
  values = flags.FLAGS
  policy = policies.from_flags()
  source = input_flags.read_source(values)
  if source is None:
    run(
      values.task,
      values.bundle,
      values.text,
      values.top_k,
      policy,
      calibrate=values.calibrate,
    )
    return
  if values.text:
    raise ValueError("--text and --input are both given; give one of them")
  if values.task == FILL_MASK:
    raise ValueError(f"--task={FILL_MASK} reads no --input; give --text")
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
