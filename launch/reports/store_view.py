# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Prepare the numbers of a store's report for its template."""

from collections.abc import Mapping
from typing import Any

from bertjax.config import flatten_fields
from data_pipelines.rows.format_report import SEQ_LENGTHS
from data_pipelines.store.summary import name_count
from data_pipelines.tokenizers.kinds import class_of
from launch.reports import store_figures


def make_view(numbers: Mapping[str, Any]) -> dict[str, Any]:
  """Return figures and texts for the numbers of `store_numbers.collect`."""
  splits = numbers["splits"]
  sizes = lambda key: {name: split[key] for name, split in splits.items()}
  lengths = {f"{length}": length for length in SEQ_LENGTHS}
  return {
    "figures": {
      "sentences_per_document": store_figures.draw_sizes(
        sizes("sentences_per_document"), "sentences per document"
      ),
      "tokens_per_sentence": store_figures.draw_sizes(
        sizes("tokens_per_sentence"), "tokens per sentence", lengths
      ),
      "tokens_per_document": store_figures.draw_sizes(
        sizes("tokens_per_document"), "tokens per document", lengths
      ),
      "coverage": store_figures.draw_coverage(
        numbers["vocabulary"]["coverage"]
      ),
    },
    "counts": [
      (name_count(name), value)
      for name, value in sorted(numbers["counts"].items())
    ]
    + [
      (f"{label}, beside the text and not read", value)
      for label, value in numbers.get("passed_over", {}).items()
    ],
    "notes": numbers["findings"],
    "recipe": [
      (name, _show(value))
      for name, value in flatten_fields(numbers["recipe"]).items()
    ],
  }


def _show(value: Any) -> str:
  if isinstance(value, bool):
    return "yes" if value else "no"
  return str(value)


def show_samples(samples: Mapping[str, Any], tokenizer: str) -> dict[str, Any]:
  """Join the tokens of the samples to readable text.

  Args:
    samples: result of `samples.draw`.
    tokenizer: name of the tokenizer, which decides how tokens are joined.

  Returns:
    `samples`, with `becomes` (the share of each kind among the tokens to
    predict) and with the examples of `rows` as `runs` of one segment each.
  """
  rows = samples["rows"]
  chosen = [
    place["becomes"]
    for row in rows
    for example in row["examples"]
    for place in example["chosen"]
  ]
  return {
    **samples,
    "becomes": {
      name: chosen.count(name) / max(len(chosen), 1)
      for name in ("mask", "random", "kept")
    },
    "rows": [
      {
        "padding": row["padding"],
        "examples": [
          {
            "label": example["label"],
            "tokens": len(example["pieces"]),
            "runs": _runs(example, tokenizer),
          }
          for example in row["examples"]
        ],
      }
      for row in rows
    ],
  }


def _runs(example: Mapping[str, Any], tokenizer: str) -> list[dict[str, Any]]:
  """Group the tokens of an example by segment; [CLS] and [SEP] are alone."""
  chosen = {place["position"]: place for place in example["chosen"]}
  kind = class_of(tokenizer)
  runs: list[dict[str, Any]] = []
  for position, token in enumerate(example["pieces"]):
    segment = "AB"[example["types"][position]]
    if position in example["specials"]:
      segment = "special"
    if not runs or runs[-1]["segment"] != segment:
      runs.append({"segment": segment, "tokens": []})
    place = chosen.get(position)
    spaced, text = kind.unmark(place["was"] if place else token)
    runs[-1]["tokens"].append(
      {
        # The space in front is that of the original token.
        "space": spaced and bool(runs[-1]["tokens"]),
        "text": token if place else text,
        "was": place["was"] if place else "",
        "becomes": place["becomes"] if place else "",
      }
    )
  return runs
