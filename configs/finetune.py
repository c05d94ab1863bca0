# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
r"""Fine-tuning for a task from a bundle, and from random weights.

  bertjax finetune --config=finetune:task=stdlib \
    --bundle=DIR --workdir=DIR

With `--init=scratch` the same encoder starts from random weights, with
everything else equal: the score to compare with. Overlays: `task=stdlib` asks
which standard-library package a docstring comes from (20 labels for each of
twelve packages; pre-training may have read the texts, without their labels);
`task=table` reads any .csv, .tsv, .jsonl or .parquet file, or tfds:NAME:SPLIT
and hf:NAME[:CONFIG]:SPLIT, with a text and a label column:

  bertjax finetune --config=finetune:task=table \
    --config.task.train=banking77/train.csv \
    --config.task.test=banking77/test.csv \
    --config.task.text=text --config.task.label=category \
    --bundle=DIR --workdir=DIR

Without `task.dev` a tenth of the training texts is held out, label by label,
and without `task.test` a fifth; all copies of a text stay on one side.
`task.test_rate=0`, or a test table without labels, scores dev alone. Pairs have
`task.text_pair`, and files without a header line `task.header`. A row without a
text or a label is an error with its line; `task.skip_bad_rows` leaves such rows
out and counts them.

`task=glue/NAME` (cola, sst2, mrpc, stsb, qqp, mnli, qnli, rte or wnli) reads a
task of GLUE from its original folder, from the folder of all tasks, or from
`--config.task.folder=tfds:glue/NAME` or `hf:nyu-mll/glue:NAME`; launch.glue
runs all of them. `task=clinc150` reads data_full.json in `task.folder`, where
texts out of scope are a class:

  bertjax finetune --config=finetune:task=glue/cola \
    --config.task.folder=glue_data --bundle=DIR --workdir=DIR

Three overlays are tables with another `task.target`. In `task=multi_label` a
text has any number of classes, with `task.separator` between them; in
`task=regression` it has a number (STS-B); and in `task=multiple_choice` one of
several texts goes with it, in the columns of SWAG: `task.text=sent1`,
`task.text_pair=sent2`, with which all choices begin, and
`task.choices=ending0,ending1,ending2,ending3`. Texts that are longer than a row
lose their end; `task.long_texts=mean`, `max` or `attention` reads them in
windows that begin `task.stride` tokens after each other, and pools their
logits.

`task=ner` tags words in the columns of CoNLL (`task.word_column`,
`task.tag_column`), and `task=squad` answers questions in the JSON of SQuAD 1.1
or 2.0. Both read rows, too, of .jsonl and .parquet files, tfds:NAME:SPLIT and
hf:NAME[:CONFIG]:SPLIT: lists of words and of tags (`task.words`, `task.tags`),
or a question, its context and its answers. Without `task.dev` or `task.test` a
share of the sentences, or of the contexts, is held out. Texts that are longer
than `seq_length` are read in windows that begin `task.stride` tokens after
each other:

  bertjax finetune --config=finetune:task=ner \
    --config.task.train=wnut17/train.conll \
    --config.task.dev=wnut17/dev.conll \
    --config.task.test=wnut17/test.conll --bundle=DIR --workdir=DIR

  bertjax finetune --config=finetune:task=squad \
    --config.task.train=squad/train-v1.1.json \
    --config.task.test=squad/dev-v1.1.json --bundle=DIR --workdir=DIR

Every learning rate is tried with the first seed, and dev chooses one; then
`seeds` runs with that rate give mean ± std (n − 1) on test, each with its best
checkpoint on dev. A run that diverges is counted and left out. Tables,
`task=clinc150` and the small tasks of GLUE train for 10 epochs;
`--config.steps=N` replaces the epochs.

Here AdamW corrects its bias, unlike in pre-training: without the correction
the first steps of a short run are too long (Zhang et al., 2020, "Revisiting
few-sample BERT fine-tuning", section 4).

Expected, on two cores: task=stdlib from the bundle of `make pretrain` 54.9 ±
1.9 %, from scratch 36.6 ± 2.3 % (configs/demo.py); banking77 with 20 labels a
class from BERT-mini after an hour on books 75.8 ± 0.4 %, from scratch 79.2 ±
0.3 % (benchmarks/books.py).
"""

import dataclasses
from typing import Any

import ml_collections

from bertjax.config import (
  FinetuneConfig,
  FinetuneOptimizerConfig,
  TaskConfig,
  choices,
)
from configs import common

GLUE = tuple(name for name in choices(TaskConfig, "name") if name)
# Tasks with under 10,000 examples, which need more epochs.
_SMALL = {"cola", "mrpc", "stsb", "rte", "wnli"}
_TABLE = {"task.kind": "table", "epochs": 10.0}


def _glue(name: str) -> dict[str, Any]:
  """Return the fields of a task of GLUE."""
  return {
    "task.kind": "glue",
    "task.name": name,
    # Some of the original files have rows that their authors' readers skip.
    "task.skip_bad_rows": True,
    "epochs": 10.0 if name in _SMALL else 3.0,
    # Accuracy says little where most labels are alike.
    "metric": "matthews" if name == "cola" else "",
  }


OVERLAYS: common.Overlays = {
  "task": {
    "stdlib": common.fields(
      {
        "task.kind": "stdlib",
        "task.labels_per_class": 20,
        "seq_length": 64,
        "steps": 150,
      }
    ),
    "table": common.fields(_TABLE),
    "clinc150": common.fields({"task.kind": "clinc150", "epochs": 10.0}),
    # All tasks, for launch.glue: epochs=0 are those of each task.
    "glue": common.fields(
      {"task.kind": "glue", "task.skip_bad_rows": True, "epochs": 0.0}
    ),
    **{f"glue/{name}": common.fields(_glue(name)) for name in GLUE},
    "ner": common.fields({"task.kind": "conll", "epochs": 5.0}),
    # run_squad.py has these lengths, and 2 to 3 epochs of 88,000 questions.
    "squad": common.fields(
      {
        "task.kind": "squad",
        "task.stride": 128,
        "seq_length": 384,
        "epochs": 3.0,
      }
    ),
    "multi_label": common.fields({**_TABLE, "task.target": "labels"}),
    "regression": common.fields({**_TABLE, "task.target": "score"}),
    # The columns of SWAG.
    "multiple_choice": common.fields(
      {
        **_TABLE,
        "task.target": "choice",
        "task.text": "sent1",
        "task.text_pair": "sent2",
        "task.choices": "ending0,ending1,ending2,ending3",
      }
    ),
  },
}


def get_config(argument: str = "") -> ml_collections.ConfigDict:
  """Return the config of a run; see the module's docstring."""
  config = common.from_dataclass(
    dataclasses.replace(
      FinetuneConfig(),
      optimizer=FinetuneOptimizerConfig(name="adamw_corrected"),
    )
  )
  return common.apply_overlays(config, argument, OVERLAYS)
