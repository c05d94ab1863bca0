# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Judge what the rows of a store would be, and the pairs of a run."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from launch.preflight.findings import Finding, at_most_warn, judge
from launch.preflight.policy import Policy


def judge_rows(
  formats: Iterable[Mapping[str, Any]], policy: Policy
) -> Iterator[Finding]:
  """Judge what the rows of a store would be, before an objective is chosen.

  Random pairs only warn here, because a run without next-sentence prediction
  can still use the store; a run with it judges its own rows.

  Args:
    formats: the `formats` of a store's report: for each format and length the
      fields of the config, `efficiency` and `random_share`.
    policy: limits and levels that the user set.
  """
  formats = list(formats)
  pairs = [each for each in formats if each["next_sentence"] == "nsp"]
  if pairs:
    most = max(pairs, key=lambda each: each["random_share"])
    pair = judge_pairs(most["random_share"], _where(most), policy)
    yield at_most_warn(pair, policy)
  else:
    yield judge(
      "single_document",
      1,
      "there is only one training document, so that next-sentence prediction "
      "is impossible: a random partner needs a second document",
      "set --config.objective.next_sentence=off, or prepare more documents",
      policy,
    )
  least = min(formats, key=lambda each: each["efficiency"])
  yield judge(
    "filled_rows",
    least["efficiency"],
    f"in {_where(least)} only {least['efficiency']:.1%} of the positions hold "
    "tokens",
    "see the table of rows before you choose a sequence length",
    policy,
  )


def _where(rows: Mapping[str, Any]) -> str:
  return f"{rows['input_format']} at {rows['seq_length']} tokens"


def judge_pairs(random_share: float, where: str, policy: Policy) -> Finding:
  """Judge how many pairs of next-sentence prediction are random.

  Args:
    random_share: share of the pairs with a random second text.
    where: which rows these are, in words.
    policy: limits and levels that the user set.
  """
  return judge(
    "random_pairs",
    random_share,
    f"{random_share:.1%} of the pairs for next-sentence prediction are random "
    f"in {where}, because many examples have only one sentence",
    "compare with --config.objective.next_sentence=off; if the text has no "
    "capitals or end marks, prepare it with one sentence a line and "
    "--sentences=lines",
    policy,
  )
