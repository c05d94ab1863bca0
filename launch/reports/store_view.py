# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What a store's report shows of its numbers: figures, names, coloured rows."""

from collections.abc import Iterator, Mapping
from typing import Any

from data_pipelines.rows.format_report import SEQ_LENGTHS
from data_pipelines.store.summary import name_count
from launch.reports import store_figures
from launch.reports.store_notes import find_notes

PREFIX = "##"  # of a piece of WordPiece that goes on with a word
SPACE = "▁"  # in a piece of SentencePiece


def make_view(numbers: Mapping[str, Any]) -> dict[str, Any]:
  """Figures and names for the template, from `store_numbers.collect`."""
  splits = numbers["splits"]
  sizes = lambda what: {name: split[what] for name, split in splits.items()}
  lengths = {f"{length}": length for length in SEQ_LENGTHS}
  return {
    "figures": {
      "sentences_per_document": store_figures.draw_sizes(
        sizes("sentences_per_document"), "sentences a document"
      ),
      "tokens_per_sentence": store_figures.draw_sizes(
        sizes("tokens_per_sentence"), "tokens a sentence", lengths
      ),
      "tokens_per_document": store_figures.draw_sizes(
        sizes("tokens_per_document"), "tokens a document", lengths
      ),
      "coverage": store_figures.draw_coverage(
        numbers["vocabulary"]["coverage"]
      ),
    },
    "counts": [
      (name_count(name), value)
      for name, value in sorted(numbers["counts"].items())
    ],
    "notes": list(find_notes(numbers)),
    "recipe": list(_flatten(numbers["recipe"])),
  }


def _flatten(values: Any, name: str = "") -> Iterator[tuple[str, str]]:
  if not isinstance(values, Mapping):
    yield (
      name,
      "yes" if values is True else "no" if values is False else (str(values)),
    )
    return
  for key, value in sorted(values.items()):
    yield from _flatten(value, f"{name}.{key}" if name else key)


def show_samples(samples: Mapping[str, Any], tokenizer: str) -> dict[str, Any]:
  """Rows of examples of runs of pieces, as they are to be read.

  Args:
    samples: of `samples.draw`.
    tokenizer: its name, which says how pieces are put together.
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
  """Pieces of one segment at a time; a [CLS] or [SEP] stands apart."""
  chosen = {place["position"]: place for place in example["chosen"]}
  runs: list[dict[str, Any]] = []
  for position, piece in enumerate(example["pieces"]):
    segment = "AB"[example["types"][position]]
    if position in example["specials"]:
      segment = "special"
    if not runs or runs[-1]["segment"] != segment:
      runs.append({"segment": segment, "pieces": []})
    place = chosen.get(position)
    begins, text = _read(place["was"] if place else piece, tokenizer)
    runs[-1]["pieces"].append(
      {
        # A mask keeps the space of what stood there: words stay apart.
        "space": begins and bool(runs[-1]["pieces"]),
        "text": piece if place else text,
        "was": place["was"] if place else "",
        "becomes": place["becomes"] if place else "",
      }
    )
  return runs


def _read(piece: str, tokenizer: str) -> tuple[bool, str]:
  """Whether a piece begins a word, and its text without the sign for that."""
  if tokenizer == "sentencepiece":
    return piece.startswith(SPACE), piece.removeprefix(SPACE)
  continues = piece.startswith(PREFIX) and piece != PREFIX
  return not continues, piece.removeprefix(PREFIX) if continues else piece
