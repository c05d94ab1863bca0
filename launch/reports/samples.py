# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Rows of a store as training sees them: pairs, labels and masks.

Masks do not depend on the backend, and a report has no business on an
accelerator that another run may hold. So rows are drawn in this process only
where JAX was told to keep to the CPU, and in a child otherwise:

    python -m launch.reports.samples STORE
"""

import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import jax
import numpy as np

from bertjax.batch import Batch
from bertjax.config import DataConfig, ObjectiveConfig
from bertjax.objectives import masking
from data_pipelines.rows.pipeline import PretrainingPipeline
from data_pipelines.store.store import Store, open_store
from data_pipelines.tokenizers import tokenizers
from data_pipelines.tokenizers.tokenizer import Tokenizer

ROWS = 10
SEQ_LENGTH = 128
SEED = 0
_BECOMES = {
  masking.MASK: "mask",
  masking.RANDOM: "random",
  masking.KEPT: "kept",
}
Samples = dict[str, Any]


@contextmanager
def begin(path: str | os.PathLike[str]) -> Iterator[Callable[[], Samples]]:
  """Start drawing the samples of a store; what is yielded waits for them.

  Raises:
    RuntimeError: from what is yielded, where the child process failed.
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
      child.kill()  # no effect on one that has ended


def _result(child: subprocess.Popen[str]) -> Samples:
  output, errors = child.communicate()
  if child.returncode:
    reason = (errors.strip().splitlines() or ["no word of why"])[-1]
    raise OSError(f"no sample rows for the report: {reason}")
  return json.loads(output)


def draw(store: Store) -> Samples:
  """Rows of the default objective, with the masks of its train step.

  Returns:
    `input_format`, `next_sentence`, `seq_length`, `seed`, `mask_rate`;
    `rows`, of which each has `padding` and `examples`; of these each has
    `label` ("next", "random" or ""), `pieces` after masking, `types` (0 A,
    1 B), `specials` (where [CLS] and [SEP] stand), and `chosen`: `position`,
    `was` and `becomes` ("mask", "random" or "kept") of each piece that is to
    be predicted. nsp is off where there is one document.
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
  rows = [_row(batch, masked, row, tokenizer) for row in range(ROWS)]
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
  """Corrupt a batch as the train step does; numpy arrays."""
  vocabulary = tokenizer.vocabulary()
  slots = masking.num_slots(
    batch["tokens_BS"].shape[1],
    batch["starts_BR"].shape[1],
    objective.mask_rate,
  )
  corrupt = lambda features: masking.mask_tokens(
    features, vocabulary, objective, num_slots=slots
  )
  return masking.Masked(*jax.device_get(jax.jit(corrupt)(batch)))


def _row(
  batch: Batch, masked: Any, row: int, tokenizer: Tokenizer
) -> Mapping[str, Any]:
  pieces, packs_S = tokenizer.tokens, batch["packs_BS"][row]
  ends = (tokenizer.cls_id, tokenizer.sep_id)
  filled_P = masked.weights_BP[row] > 0
  slots = [
    values[row][filled_P].tolist()
    for values in (masked.positions_BP, masked.targets_BP, masked.kind_BP)
  ]
  chosen = {
    place: (pieces[target], _BECOMES[kind])
    for place, target, kind in zip(*slots, strict=True)
  }
  examples = []
  for pack in range(1, int(packs_S.max()) + 1):
    places = np.flatnonzero(packs_S == pack).tolist()
    label = int(batch["pair_label_BR"][row, pack - 1])
    examples.append(
      {
        "label": {0: "next", 1: "random"}.get(label, ""),
        "pieces": [pieces[masked.tokens_BS[row, place]] for place in places],
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
