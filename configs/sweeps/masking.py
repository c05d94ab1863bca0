# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
r"""Which tokens should be masked, and what should stand in their place?

  bertjax sweep --config=masking:size=tiny \
    --config.pretrain.data.store=DIR --workdir=DIR

Arms of the unit: `token` (BERT, the baseline), `word` (whole-word masking) and
`span` (SpanBERT). Arms of the replacement, named by the shares of [MASK], of
the token itself and of a random token, as in the appendix of BERT's paper:
`token` has 80_10_10, and the others are its corners and edges. Arms of static
masking: `static` has one copy of the corpus, and `static_10` ten, as BERT and
RoBERTa's table 1 had; the others draw masks anew in every epoch (dynamic). A
run that reads its text no more often than it has copies repeats no mask, which
its checks say: give it more steps, or leave the arm out with `--arms`.

Equal are number of masked tokens, steps, seeds and everything else; rows as
well, but that a static copy repeats its examples with their masks, and dynamic
arms plan examples anew: cut documents and second segments change. With
`--config.pretrain.objective.input_format=doc_sentences` and
`--config.pretrain.objective.short_rate=0` every epoch has the same examples,
and masks are all that differs. All arms are validated on the same rows with the
masks of BERT, so that their masked-LM losses can be compared.

Further arms run where `--arms` names them, so that a study that is done stays
done: `ngram` (ALBERT: up to three words, n of them 1/n as likely as one),
and `rate15` to `rate50`, the percent of the tokens that are masked (the others
have the base's). With `--arms=token,ngram
--grid=objective.next_sentence=off,sop` each has sentence order as well.

So do arms that have all of a family's objective, whatever the base has:
`albert` (n-grams and sentence order), `roberta` (full sentences), `modernbert`
(30 % of single documents), `neobert` (20 %, all [MASK]) and `eurobert` (50 %,
all [MASK], as it begins). Rates and rows are theirs, so that they differ in
more than masks, and in tokens: give `--match=tokens`. The encoder is the base's
in all arms: `--config=masking:family=albert` has ALBERT's.

  bertjax sweep --config=masking:family=albert \
    --arms=token,ngram,albert,roberta --match=tokens \
    --config.pretrain.data.store=DIR --workdir=DIR --dry_run

Cost: 30 trials.

Anchors: RoBERTa's table 1 has 78.3 with static and 78.7 with dynamic masks
(SQuAD 2.0 F1). BERT's table 8 (MNLI / NER fine-tuned / NER from features), by
[MASK] / same / random: 80/10/10 84.2/95.4/94.9; 100/0/0 84.3/94.9/94.0; 80/0/20
84.1/95.2/94.6; 80/20/0 84.4/95.2/94.7; 0/20/80 83.7/94.8/94.6; 0/0/100
83.6/94.9/94.6. There is none for n-grams: ALBERT masks nothing else.
"""

from collections.abc import Mapping
from typing import Any

import ml_collections

from configs import families
from configs.sweeps import study

QUESTION = (
  "Which tokens should be masked, and what should stand in their place?"
)

# Percent of the tokens that are masked.
RATES = (15, 20, 30, 40, 50)
# Percent of [MASK], of the token itself and of a random token.
REPLACED = ((100, 0, 0), (80, 0, 20), (80, 20, 0), (0, 20, 80), (0, 0, 100))
ARMS = {
  "token": {"objective": {"mask_unit": "token"}},
  "word": {"objective": {"mask_unit": "word"}},
  "span": {"objective": {"mask_unit": "span"}},
  "static": {"objective": {"static_copies": 1}},
  "static_10": {"objective": {"static_copies": 10}},
  **{
    f"mask{mask}_same{same}_random{random}": {
      "objective": {
        "mask_token_rate": mask / 100,
        "random_token_rate": random / 100,
      }
    }
    for mask, same, random in REPLACED
  },
}
_ALL_MASK = {
  "objective.mask_token_rate": 1.0,
  "objective.random_token_rate": 0.0,
}
# Whole objectives, by dotted names. A family that names no rate has BERT's, and
# not that of the base.
_FAMILIES: Mapping[str, Mapping[str, Any]] = {
  **{
    name: {"objective.mask_rate": 0.15, **family.objective}
    for name, family in families.FAMILIES.items()
    if family.objective
  },
  # Le Breton et al. (2025), and Boizard et al. (2025), whose rate falls to 10 %
  # at the end.
  "neobert": {**_ALL_MASK, "objective.mask_rate": 0.2},
  "eurobert": {**_ALL_MASK, "objective.mask_rate": 0.5},
}
FAMILIES = {
  name: {
    "objective": {
      field.removeprefix("objective."): value for field, value in fields.items()
    }
  }
  for name, fields in _FAMILIES.items()
}
# By `--arms` alone: a study that was done without them is then still done.
MORE_ARMS = {
  "ngram": {"objective": {"mask_unit": "ngram"}},
  **{f"rate{rate}": {"objective": {"mask_rate": rate / 100}} for rate in RATES},
}


def get_config(argument: str = "") -> ml_collections.ConfigDict:
  """Return the config of the study; see the module's docstring."""
  return study.make(
    argument,
    question=QUESTION,
    without=("objective", "masks", "mask_rate"),
    base={"objective.next_sentence": "off"},
    arms={**ARMS, **MORE_ARMS, **FAMILIES},
    chosen=tuple(ARMS),
    apart=tuple(FAMILIES),
    baseline="token",
  )
