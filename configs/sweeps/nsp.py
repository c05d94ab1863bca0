# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
r"""Does next-sentence prediction help on this corpus?

  bertjax sweep --config=nsp:size=tiny \
    --config.pretrain.data.store=DIR --workdir=DIR

BERT's paper says that it does; RoBERTa's says that it hurts, and changes the
input format at the same time. Ten arms tell the effects of rows, loss and
format apart. For each pair format, `segment_pair` and `sentence_pair`:

  mlm_nsp    as published
  nsp_rows   the same rows without the loss
  mlm        B is always the true continuation
  sop        sentence order instead (Lan et al., 2020)

(`sentence_…` for the second format), and `full_sentences` and `doc_sentences`,
which have no pairs. `--arms=nsp,nsp_rows,mlm` is the smallest study that tells
the rows from the loss: `nsp` is short for `mlm_nsp`, and `off` for `mlm`.

Equal are store, order of documents, stream of masks, seeds and everything else,
and the real tokens within 0.5 %: every arm has its own number of steps, and its
schedule over those, because formats fill rows differently. Every trial is
pre-trained from scratch and arms are compared seed by seed: by the masked-LM
loss on the same rows of plain text, which compares over formats as a trial's
own validation does not; by a linear classifier of the frozen vectors that tells
which text follows another; and by fine-tuning on one task (`finetune`). The
first two read the validation split of the store.

Cost: 30 trials; `--dry_run` prints tokens, FLOPs and hours.

Anchors (dev; MNLI-m / QNLI / MRPC / SST-2 / SQuAD F1): BERT's table 5 has
84.4 / 88.4 / 86.7 / 92.7 / 88.5 with next-sentence prediction, and 83.9 /
84.9 / 86.5 / 92.6 / 87.9 without. RoBERTa's table 2 (SQuAD 1.1 / 2.0, MNLI-m,
SST-2, RACE) has 90.4 / 78.7, 84.0, 92.9, 64.2 with it on segment pairs; 88.7 /
76.2, 82.9, 92.1, 63.0 on sentence pairs; 90.4 / 79.1, 84.7, 92.5, 64.8 without
it on full sentences; 90.6 / 79.7, 84.7, 92.7, 65.6 on doc sentences.

The argument takes the overlays of configs/pretrain.py except `objective=`, on
top of `size=tiny,recipe=short`, which takes minutes a trial. The default store
is the one that `make pretrain` leaves.
"""

import ml_collections

from configs.sweeps import study

QUESTION = "Does next-sentence prediction help on this corpus?"

PAIRS = {
  "mlm_nsp": {"next_sentence": "nsp", "next_sentence_weight": 1.0},
  "nsp_rows": {"next_sentence": "nsp", "next_sentence_weight": 0.0},
  "mlm": {"next_sentence": "off"},
  "sop": {"next_sentence": "sop"},
}
ARMS = {
  # The format of these is the default.
  **{name: {"objective": fields} for name, fields in PAIRS.items()},
  **{
    f"sentence_{name}": {
      "objective": {"input_format": "sentence_pair", **fields}
    }
    for name, fields in PAIRS.items()
  },
  **{
    name: {"objective": {"input_format": name, "next_sentence": "off"}}
    for name in ("full_sentences", "doc_sentences")
  },
}
# Short names that `--arms` takes, too.
ALIASES = {
  "nsp": "mlm_nsp",
  "off": "mlm",
  "sentence_nsp": "sentence_mlm_nsp",
  "sentence_off": "sentence_mlm",
}
# What every arm is measured by, whatever its rows and losses.
PROBES = {"probes.shared_rows": 1_024, "probes.pairs": 2_000}


def get_config(argument: str = "") -> ml_collections.ConfigDict:
  """Return the config of the study; see the module's docstring."""
  config = study.make(
    argument,
    question=QUESTION,
    without=("objective",),
    arms=ARMS,
    aliases=ALIASES,
    baseline="mlm_nsp",
    match="tokens",
  )
  config.update_from_flattened_dict(PROBES)
  return config
