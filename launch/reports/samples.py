# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Draw rows of a store as training sees them: pairs, labels and masks.

A report must not occupy an accelerator that another run may be using, and
masks do not depend on the backend. So rows are drawn on the CPU: in this
process if JAX is limited to the CPU already, else in a child process:

    python -m launch.reports.samples STORE
"""

import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import jax
import numpy as np

from bertjax.batch import Batch
from bertjax.config import PAIR_CLASSES, DataConfig, ObjectiveConfig
from bertjax.objectives import masking
from data_pipelines.rows.pipeline import PretrainingPipeline
from data_pipelines.store.store import Store, open_store
from data_pipelines.tokenizers import tokenizers
from data_pipelines.tokenizers.tokenizer import Tokenizer

ROWS = 10
SEQ_LENGTH = 128
SEED = 0
# How a token that is to be predicted is shown to the model.
_BECOMES = {
  masking.MASK: "mask",
  masking.RANDOM: "random",
  masking.KEPT: "kept",
}
Samples = dict[str, Any]


@contextmanager
def begin(path: str | os.PathLike[str]) -> Iterator[Callable[[], Samples]]:
  """Start drawing the samples of a store.

  Yields a function that waits for the samples and returns them. It raises an
  OSError if the child process failed.
  """
  if jax.config.values["jax_platforms"] == "cpu":
    yield lambda: draw(open_store(path))
    return
  places = os.pathsep.join(place for place in sys.path if place)
  with subprocess.Popen(
    [sys.executable, "-m", "launch.reports.samples", os.fspath(path)],
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
    encoding="utf-8",
    env={**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": places},
  ) as child:
    try:
      yield lambda: _result(child)
    finally:
      child.kill()  # no effect if it has ended


def _result(child: subprocess.Popen[str]) -> Samples:
  output, errors = child.communicate()
  if child.returncode:
    reason = (errors.strip().splitlines() or ["it printed no error"])[-1]
    raise OSError(f"drawing sample rows for the report failed: {reason}")
  return json.loads(output)


def draw(store: Store) -> Samples:
  """Draw rows of the default objective with the masks of its train step.

  Next-sentence prediction is off if the store has only one document.

  Returns:
    JSON values: `input_format`, `next_sentence`, `seq_length`, `seed`,
    `mask_rate` and `rows`. Each row has `padding` and `examples`. Each example
    has `label` ("next", "random" or "" for none), `pieces` (tokens after
    masking), `types` (0 for A, 1 for B), `specials` (positions of the special
    tokens around texts) and `chosen`, the tokens to predict: `position`, `was`
    and `becomes` ("mask", "random" or "kept").
  """
  nsp = store.split("train").num_documents > 1
  objective = ObjectiveConfig(next_sentence="nsp" if nsp else "off")
  pipeline = PretrainingPipeline(
    store,
    "train",
    objective=objective,
    data=DataConfig(seq_length=SEQ_LENGTH),
    batch_size=ROWS,
    seed=SEED,
  )
  batch = pipeline.batch(0)
  tokenizer = tokenizers.load(store.tokenizer_path)
  masked = mask(batch, tokenizer, objective)
  classes = PAIR_CLASSES[objective.next_sentence]
  rows = [_row(batch, masked, row, tokenizer, classes) for row in range(ROWS)]
  return {
    "input_format": objective.input_format,
    "next_sentence": objective.next_sentence,
    "seq_length": SEQ_LENGTH,
    "seed": SEED,
    "mask_rate": objective.mask_rate,
    "rows": rows,
  }


def mask(
  batch: Batch, tokenizer: Tokenizer, objective: ObjectiveConfig
) -> masking.Masked:
  """Mask a batch as the train step does; returns numpy arrays."""
  vocabulary = tokenizer.vocabulary()
  slots = masking.num_slots(
    batch["tokens_BS"].shape[1],
    batch["starts_BR"].shape[1],
    objective.mask_rate,
  )
  corrupt = lambda features: masking.mask_tokens(
    features, vocabulary, objective, slots=slots
  )
  return masking.Masked(*jax.device_get(jax.jit(corrupt)(batch)))


def _row(
  batch: Batch,
  masked: Any,
  row: int,
  tokenizer: Tokenizer,
  classes: Sequence[str],
) -> Mapping[str, Any]:
  show = lambda id_: tokenizer.letters(tokenizer.tokens[id_])
  packs_S = batch["packs_BS"][row]
  ends = tokenizer.template.ids
  filled_P = masked.weights_BP[row] > 0
  slots = [
    values[row][filled_P].tolist()
    for values in (masked.positions_BP, masked.targets_BP, masked.kind_BP)
  ]
  chosen = {
    place: (show(target), _BECOMES[kind])
    for place, target, kind in zip(*slots, strict=True)
  }
  examples = []
  for pack in range(1, int(packs_S.max()) + 1):
    places = np.flatnonzero(packs_S == pack).tolist()
    label = int(batch["pair_label_BR"][row, pack - 1])
    examples.append(
      {
        "label": classes[label] if label >= 0 else "",
        "pieces": [show(masked.tokens_BS[row, place]) for place in places],
        "types": batch["types_BS"][row][places].tolist(),
        "specials": [
          position
          for position, place in enumerate(places)
          if batch["tokens_BS"][row, place] in ends
        ],
        "chosen": [
          {
            "position": position,
            "was": chosen[place][0],
            "becomes": chosen[place][1],
          }
          for position, place in enumerate(places)
          if place in chosen
        ],
      }
    )
  return {"padding": int((packs_S == 0).sum()), "examples": examples}


def main(path: str) -> None:
  """Print the samples of the store at `path` as JSON."""
  json.dump(draw(open_store(pathlib.Path(path))), sys.stdout)


if __name__ == "__main__":
  main(sys.argv[1])
