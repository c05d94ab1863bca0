# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
r"""Which tokens should be masked, and what should stand in their place?

  bertjax sweep --config=masking:size=tiny \
    --config.pretrain.data.store=DIR --workdir=DIR

Arms of the unit: `token` (BERT, the baseline), `word` (whole-word masking) and
`span` (SpanBERT). Arms of the replacement, named by the shares of [MASK], of
the token itself and of a random token, as in the appendix of BERT's paper:
`token` has 80_10_10, and the others are its corners and edges.

Equal are rows, number of masked tokens, steps, seeds and everything else. All
arms are validated on the same rows with the masks of BERT, so that their
masked-LM losses can be compared. Masks are drawn anew in every epoch
(dynamic); static masks have no mode here: RoBERTa's table 1 finds 78.3 with
static and 78.7 with dynamic ones (SQuAD 2.0 F1).

Cost: 24 trials.

Anchors: BERT's table 8 (MNLI / NER fine-tuned / NER from features), by [MASK] /
same / random: 80/10/10 84.2/95.4/94.9; 100/0/0 84.3/94.9/94.0; 80/0/20
84.1/95.2/94.6; 80/20/0 84.4/95.2/94.7; 0/20/80 83.7/94.8/94.6; 0/0/100
83.6/94.9/94.6.
"""

import ml_collections

from configs.sweeps import study

QUESTION = (
  "Which tokens should be masked, and what should stand in their place?"
)

# Percent of [MASK], of the token itself and of a random token.
REPLACED = ((100, 0, 0), (80, 0, 20), (80, 20, 0), (0, 20, 80), (0, 0, 100))
ARMS = {
  "token": {"objective": {"mask_unit": "token"}},
  "word": {"objective": {"mask_unit": "word"}},
  "span": {"objective": {"mask_unit": "span"}},
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


def get_config(argument: str = "") -> ml_collections.ConfigDict:
  """Return the config of the study; see the module's docstring."""
  return study.make(
    argument,
    question=QUESTION,
    without=("objective",),
    base={"objective.next_sentence": "off"},
    arms=ARMS,
    baseline="token",
  )
