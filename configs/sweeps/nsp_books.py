# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
r"""Does next-sentence prediction help a small encoder of books?

  bertjax sweep --config=nsp_books:data=DIR --workdir=DIR

The ten arms of configs/sweeps/nsp.py, pre-trained for minutes on books, and
probed by more than one task. docs/nsp_study.md has the whole study: how the
store and the tasks of pairs are made, and what came out.

Equal are the real tokens within 0.5 %, store, order of documents, stream of
masks, seeds and everything else, as in configs/sweeps/nsp.py.

Probes are the masked-LM loss of all arms on the same rows of plain text, a
linear classifier of what follows what, and fine-tuning with fixed settings:
which of two texts follows another, and RTE, from the vector of [CLS], which the
pair losses train; CoLA and banking77 (20 labels for each class) from the mean
over the tokens; XQuAD from its tokens. Test is the split that was published as
dev where there is no other, and dev is held out of train. The first probe,
which text follows, is the one that the answer in a sentence is of.

Cost: 30 trials, of some 3,600 steps of 0.2 CPU seconds and five fine-tunings.

Anchors: configs/sweeps/nsp.py has those of BERT's and RoBERTa's papers, whose
encoders are a hundred times as large.

`data=DIR` is the folder of the public data sets (cola, rte, banking77 and
xquad_en), and `pairs=DIR` the output of benchmarks.book_pairs; the other parts
of the argument are overlays of configs/pretrain.py but `objective=`.
"""

from collections.abc import Mapping
from typing import Any

import ml_collections

from configs import finetune
from configs.sweeps import nsp, study

QUESTION = "Does next-sentence prediction help a small encoder of books?"

STORE = "runs/nsp_books/store"
# Parts of the argument that name folders.
FOLDERS = {"data": "data", "pairs": "runs/nsp_books/pairs"}
BASE = {
  "steps": 3_600,
  "evaluation.every_steps": 1_200,
  "evaluation.rows": 640,
}
# Differences that do not matter, stated before the first trial.
MARGINS = "shared_mlm_loss=0.02"


def _table(folder: str, ending: str, **fields: Any) -> dict[str, Any]:
  """Return a table whose published dev split is its test."""
  return {
    "kind": "table",
    "train": f"{folder}/train.{ending}",
    "test": f"{folder}/dev.{ending}",
    **fields,
  }


def _splits(folder: str, **fields: Any) -> dict[str, Any]:
  """Return a task of pairs with splits of its own."""
  files = {name: f"{folder}/{name}.jsonl" for name in ("train", "dev", "test")}
  return {"kind": "table", **files, **fields}


def make_tasks(data: str, pairs: str) -> Mapping[str, Mapping[str, Any]]:
  """Return what each task changes of `finetune`, by its name.

  Args:
    data: folder of the public data sets.
    pairs: folder that benchmarks.book_pairs wrote.
  """
  choices = {"target": "choice", "choices": "choices", "num_choices": 2}
  return {
    "which_follows": {
      "task": _splits(f"{pairs}/which_follows", text="context", **choices),
    },
    "rte": {
      "seq_length": 128,
      "task": _table(
        f"{data}/rte", "tsv", text="sentence1", text_pair="sentence2"
      ),
    },
    "cola": {
      "pooling": "mean",
      "seq_length": 64,
      "metric": "matthews",
      "task": _table(
        f"{data}/cola",
        "tsv",
        text="sentence",
        header="source,label,mark,sentence",
        skip_bad_rows=True,
      ),
    },
    "banking77": {
      "pooling": "mean",
      "seq_length": 64,
      "epochs": 10.0,
      "task": {
        "kind": "table",
        "train": f"{data}/banking77/train.csv",
        "test": f"{data}/banking77/test.csv",
        "label": "category",
        "labels_per_class": 20,
      },
    },
    "xquad": {
      "metric": "f1",
      "task": {
        "kind": "squad",
        "train": f"{data}/xquad_en/train.json",
        "test": f"{data}/xquad_en/dev.json",
      },
    },
  }


def get_config(argument: str = "") -> ml_collections.ConfigDict:
  """Return the config of the study; see the module's docstring."""
  folders, overlays = _parse(argument)
  config = study.make(
    overlays,
    question=QUESTION,
    without=("objective",),
    base=BASE,
    arms=nsp.ARMS,
    aliases=nsp.ALIASES,
    baseline="mlm_nsp",
    match="tokens",
    margins=MARGINS,
  )
  tuned = finetune.get_config()
  tuned.update_from_flattened_dict(
    {
      # The seeds of pre-training are what is compared.
      "seeds": 1,
      "evaluations": 2,
      "learning_rates": (1e-3,),
    }
  )
  config.finetune = tuned
  tasks = ml_collections.ConfigDict(make_tasks(**folders), sort_keys=False)
  config.update_from_flattened_dict(
    {
      "pretrain.data.store": STORE,
      **nsp.PROBES,
      "probes.tasks": tasks,
    }
  )
  return config


def _parse(argument: str) -> tuple[dict[str, str], str]:
  """Return the folders of an argument, and the rest of it."""
  folders, rest = dict(FOLDERS), []
  for part in filter(None, argument.split(",")):
    name, _, value = part.partition("=")
    if name in folders and value:
      folders[name] = value
    else:
      rest.append(part)
  return folders, ",".join(rest)
