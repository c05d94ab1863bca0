# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Fill in [MASK] with a pre-trained bundle, or apply a fine-tuned model.

    python -m launch.predict --task=fill_mask --bundle=DIR \
      --text="Return a new [MASK] object."
    python -m launch.predict --task=classify --bundle=WORKDIR/model \
      --text="Where is my card?"

--text may be given several times; --table=FILE reads the column "text" of a
table.
"""

import json
import logging
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from absl import flags

from bertjax.batch import ENCODER_FEATURES, Batch, empty_batch
from bertjax.checkpoints import bundle as bundles
from bertjax.finetune import windows
from bertjax.finetune.artifact import FinetunedModel, load_finetuned
from bertjax.finetune.scores import Guess, guesses, probabilities
from bertjax.finetune.task import Answer
from bertjax.finetune.windows import Windows
from bertjax.trials.markdown import markdown
from data_pipelines.tasks.features import encode_texts
from data_pipelines.tasks.table_files import SUFFIXES, Columns
from data_pipelines.tasks.tables import Rules, Table, read_table
from data_pipelines.tokenizers import tokenizers
from data_pipelines.tokenizers.tokenizer import Tokenizer
from launch import cli, tasks
from launch.preflight import policy as policies
from launch.preflight.policy import DEFAULT, Policy
from launch.preflight.settle import settle
from launch.preflight.task import judge_texts, judge_unknown

FILL_MASK = "fill_mask"
VERBS = {task.verb: task for task in tasks.TASKS.values()}
MASK = "[MASK]"
_BATCH_SIZE = 32


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
  _check_count("top_k", top_k)
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
  _check_count("top_k", top_k)
  finetuned = load_finetuned(bundle, tasks.TASKS)
  head = finetuned.head
  if verb not in {None, finetuned.task.verb}:
    raise ValueError(
      f"{bundle} cannot {verb}; give --task={finetuned.task.verb}"
    )
  _check_pairs(bundle, finetuned, pairs is not None)
  tokenizer = tokenizers.load(finetuned.tokenizer_path)
  encoded = encode_texts(tokenizer, texts, pairs, head.seq_length)
  findings = judge_texts(encoded, len(texts), head.seq_length, policy)
  settle(findings, policy)
  for finding in findings:
    if finding.level == "pass" and finding.figure:
      logging.warning("%s", finding.text)  # a cut text is always told
  outputs_of = jax.jit(
    lambda params, rows: finetuned.model.apply(
      {"params": params}, rows, deterministic=True
    )
  )
  answers: list[list[Answer]] = []
  for start in range(0, len(texts), _BATCH_SIZE):
    rows = {
      name: array[start : start + _BATCH_SIZE]
      for name, array in encoded.features.items()
    }
    outputs = jax.device_get(outputs_of(finetuned.params, rows))
    found = finetuned.task.answers(
      *_by_window(outputs, rows), head.labels, tokenizer.tokens
    )
    answers += [list(each[:top_k]) for each in found]
  return answers


def _by_window(outputs: Batch, rows: Batch) -> tuple[Batch, Windows]:
  """Return outputs and rows by window, where each row is a window."""
  number_N = np.arange(len(rows["tokens_BS"]))
  places = windows.find(rows["packs_BS"], rows["starts_BR"], number_N[:, None])
  found = Windows(windows.by_window(rows, places), places.length_N, number_N)
  return windows.by_window(outputs, places), found


def run(
  task: str,
  bundle: str,
  texts: Sequence[str],
  top_k: int,
  policy: Policy = DEFAULT,
) -> None:
  """Print the answers to texts.

  Raises:
    ValueError: an argument cannot be used.
  """
  if not texts:
    raise ValueError("--text is not given; give the text to read")
  if task != FILL_MASK:
    columns = VERBS[task].answer_columns
    found = answer(bundle, texts, verb=task, top_k=top_k, policy=policy)
    for text, answers in zip(texts, found, strict=True):
      _show(text, columns, answers)
    return
  for text in texts:
    found = fill_mask(bundle, text, top_k=top_k, policy=policy)
    for number, answers in enumerate(found, 1):
      _show(text, (f"{MASK} {number}", "probability"), answers)


def run_table(
  task: str, bundle: str, table: Table, top_k: int, policy: Policy = DEFAULT
) -> None:
  """Print the answers to the rows of a table, each as a line of JSON.

  Raises:
    ValueError: the task reads no table, or an argument cannot be used.
  """
  if task == FILL_MASK:
    raise ValueError(f"--task={task} reads no table; give --text")
  for line in table.skipped:
    logging.warning("%s; the row is left out", line)
  found = answer(
    bundle, table.texts, table.pairs, verb=task, top_k=top_k, policy=policy
  )
  for line, text, answers in zip(table.lines, table.texts, found, strict=True):
    shown = {"line": line, "text": text, "answers": answers}
    print(json.dumps(shown, ensure_ascii=False, allow_nan=False), flush=True)


def _check_pairs(bundle: str, finetuned: FinetunedModel, given: bool) -> None:
  if finetuned.task.compares:
    raise ValueError(
      f"{bundle} chooses among several texts, and this command reads single "
      "ones and pairs; bertjax finetune scores tables of choices"
    )
  reads_pairs = finetuned.head.pair
  if reads_pairs and not given:
    raise ValueError(
      f"{bundle} reads pairs of texts; give them as a --table with a "
      "--text_pair_column"
    )
  if given and not reads_pairs:
    raise ValueError(
      f"{bundle} reads single texts; leave --text_pair_column out"
    )


def _check_count(name: str, value: int) -> None:
  if value < 1:
    raise ValueError(f"{name}={value}; give 1 or more")


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
    "task", None, (FILL_MASK, *VERBS), "Task of the model.", required=True
  )
  flags.DEFINE_string("bundle", None, "Folder of a bundle.", required=True)
  flags.DEFINE_multi_string(
    "text",
    [],
    f"Text to read, which contains {MASK} for {FILL_MASK}; repeatable.",
  )
  flags.DEFINE_string(
    "table",
    "",
    f"File of texts ({SUFFIXES}) instead of --text; labels are not read, and "
    "answers are lines of JSON.",
  )
  flags.DEFINE_string("text_column", "text", "Column of the texts of --table.")
  flags.DEFINE_string(
    "text_pair_column", "", "Column of the second texts of --table."
  )
  flags.DEFINE_bool(
    "skip_bad_rows", False, "Leave out and name rows that cannot be used."
  )
  flags.DEFINE_integer("top_k", 5, "Largest number of answers to show.")
  policies.define_flags()


def _read_table(values: flags.FlagValues) -> Table | None:
  """Return the table of the flags; None if they name none.

  Raises:
    ValueError: flags that exclude each other, or a table that cannot be read.
  """
  if not values.table:
    for name in ("text_column", "text_pair_column", "skip_bad_rows"):
      if values[name].present:
        raise ValueError(f"--{name} is read only with --table; give that, too")
    return None
  if values.text:
    raise ValueError("--text and --table are both given; give one of them")
  return read_table(
    values.table,
    Columns(values.text_column, "", values.text_pair_column),
    Rules(
      skip_bad_rows=values.skip_bad_rows,
      needs_labels=False,
      flag="--skip_bad_rows",
    ),
  )


def main(_: Sequence[str]) -> None:
  """Print the answers to the texts of the flags."""
  values = flags.FLAGS
  policy = policies.from_flags()
  table = _read_table(values)
  if table is None:
    run(values.task, values.bundle, values.text, values.top_k, policy)
  else:
    run_table(values.task, values.bundle, table, values.top_k, policy)


if __name__ == "__main__":
  define_flags()
  cli.run(main)
