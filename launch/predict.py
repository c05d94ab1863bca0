# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Ask a bundle to fill in [MASK], or a fine-tuned one for labels.

    python -m launch.predict --task=fill_mask --bundle=DIR \
      --text="Return a new [MASK] object."
    python -m launch.predict --task=classify --bundle=WORKDIR/model \
      --text="Where is my card?"

--text may be given several times.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from absl import flags

from bertjax.batch import ENCODER_FEATURES, Batch, empty_batch
from bertjax.checkpoints import bundle as bundles
from bertjax.finetune.artifact import load_classifier
from bertjax.finetune.scores import probabilities
from bertjax.trials.markdown import markdown
from data_pipelines.tasks.features import encode_texts
from data_pipelines.tokenizers import tokenizers
from data_pipelines.tokenizers.tokenizer import Tokenizer
from launch import cli

TASKS = ("fill_mask", "classify")
MASK = "[MASK]"
_ROWS = 32  # texts that are answered at once


@dataclasses.dataclass(frozen=True)
class Guess:
  """A piece or a label, and how likely the model thinks it."""

  text: str
  probability: float


def fill_mask(bundle: str, text: str, *, top_k: int = 5) -> list[list[Guess]]:
  """Return the likeliest pieces for every [MASK] of `text`, in order.

  Probabilities are over the whole vocabulary; pieces that stand for no text
  are not listed.

  Raises:
    ValueError: no bundle, a text without [MASK], or one that is too long.
  """
  _check_count("top_k", top_k)
  info = bundles.read_pretrained(bundle)
  tokenizer = tokenizers.load(info.tokenizer_path)
  ids, places = _with_masks(tokenizer, text)
  if len(ids) > info.model.max_positions:
    raise ValueError(
      f"the text has {len(ids)} pieces, and this model reads "
      f"{info.model.max_positions}; give a shorter one"
    )
  model, params = bundles.load_bundle(bundle)
  outputs: Any = jax.jit(
    lambda params, row: model.apply(
      {"params": params},
      row,
      np.asarray([places], np.int32),
      deterministic=True,
    )
  )(params, _row(ids))
  # The table may have rows for no piece, which pad it to a round size.
  logits_PV = np.asarray(
    outputs["mlm_logits_BPV"][0, :, : len(tokenizer.tokens)]
  )
  ordinary_W = tokenizer.vocabulary().ordinary_W
  return [
    _top(
      probabilities_V[ordinary_W],
      [tokenizer.tokens[i] for i in ordinary_W],
      top_k,
    )
    for probabilities_V in probabilities(logits_PV)
  ]


def classify(
  bundle: str, texts: Sequence[str], *, top_k: int = 3
) -> list[list[Guess]]:
  """Return the likeliest labels of every text.

  Raises:
    ValueError: no classifier there, or one of pairs of texts.
  """
  _check_count("top_k", top_k)
  classifier = load_classifier(bundle)
  if classifier.pair:
    raise ValueError(
      f"{bundle} labels pairs of texts; --text gives single ones"
    )
  features = encode_texts(
    tokenizers.load(classifier.tokenizer_path),
    texts,
    None,
    classifier.seq_length,
  )
  logits = jax.jit(
    lambda params, rows: classifier.model.apply(
      {"params": params}, rows, deterministic=True
    )
  )
  guesses = []
  for start in range(0, len(texts), _ROWS):
    rows = {
      name: array[start : start + _ROWS] for name, array in features.items()
    }
    logits_BC = np.asarray(logits(classifier.params, rows))
    guesses += [
      _top(probabilities_C, classifier.labels, top_k)
      for probabilities_C in probabilities(logits_BC)
    ]
  return guesses


def run(task: str, bundle: str, texts: Sequence[str], top_k: int) -> None:
  """Print the answers of a task to texts.

  Raises:
    ValueError: a mistake in any of these.
  """
  if not texts:
    raise ValueError("--text is not given; give what is to be read")
  if task == "classify":
    for text, guesses in zip(
      texts, classify(bundle, texts, top_k=top_k), strict=True
    ):
      _show(text, "label", guesses)
    return
  for text in texts:
    for number, guesses in enumerate(fill_mask(bundle, text, top_k=top_k), 1):
      _show(text, f"{MASK} {number}", guesses)


def _check_count(name: str, value: int) -> None:
  if value < 1:
    raise ValueError(f"{name}={value}; give 1 or more")


def _with_masks(tokenizer: Tokenizer, text: str) -> tuple[list[int], list[int]]:
  """Ids of `[CLS] text [SEP]`, and where its masks stand."""
  parts = text.split(MASK)
  if len(parts) == 1:
    raise ValueError(
      f"the text has no {MASK}; write one for each piece to fill in: {text!r}"
    )
  ids, places = [tokenizer.cls_id], []
  for number, piece_ids in enumerate(tokenizer.encode(parts)):
    if number:
      places.append(len(ids))
      ids.append(tokenizer.mask_id)
    ids += piece_ids.tolist()
  return [*ids, tokenizer.sep_id], places


def _row(ids: Sequence[int]) -> Batch:
  row = empty_batch(ENCODER_FEATURES, {"B": 1, "S": len(ids), "R": 1})
  row["tokens_BS"][0] = ids
  row["positions_BS"][0] = np.arange(len(ids))
  row["packs_BS"][...] = 1
  return row


def _top(
  probabilities_N: np.ndarray, names: Sequence[str], count: int
) -> list[Guess]:
  best = np.argsort(-probabilities_N, kind="stable")[:count]
  return [Guess(names[int(i)], float(probabilities_N[i])) for i in best]


def _show(text: str, what: str, guesses: Sequence[Guess]) -> None:
  print(text)
  print(
    markdown(
      [what, "probability"],
      [[guess.text, f"{guess.probability:.4f}"] for guess in guesses],
    ),
    flush=True,
  )


def define_flags() -> None:
  """Define this launcher's flags; not at import, because others call it."""
  flags.DEFINE_enum("task", None, TASKS, "What is asked.", required=True)
  flags.DEFINE_string("bundle", None, "Folder of a bundle.", required=True)
  flags.DEFINE_multi_string("text", [], f"A text; of fill_mask, with {MASK}.")
  flags.DEFINE_integer("top_k", 5, "Answers to show.")


def main(_: Sequence[str]) -> None:
  """Answer as the flags say."""
  values = flags.FLAGS
  run(values.task, values.bundle, values.text, values.top_k)


if __name__ == "__main__":
  define_flags()
  cli.run(main)
