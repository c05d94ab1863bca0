# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Checks of dropout's rates against the draws that decide."""

from typing import Any

from bertjax.config.model import given_rate

_NAMES = ("hidden_dropout_rate", "attention_dropout_rate")


def check_dropout(config: Any) -> None:
  """Check that the draws can give the rates.

  Args:
    config: a run, of pre-training or fine-tuning.

  Raises:
    ValueError: a rate above 0 for which nothing, or everything, is dropped.
  """
  draws = config.compute.dropout_draws
  for name, rate in rates(config).items():
    given = given_rate(rate, draws)
    if rate and not 0 < given < 1:
      least = 0.5 ** int(draws.removeprefix("uint"))
      nearest = least if given == 0 else 1 - least
      what = "nothing" if given == 0 else "everything"
      fix = " or compute.dropout_draws=uint16" * (draws != "uint16")
      raise ValueError(
        f"{name}={rate}, for which draws of compute.dropout_draws={draws} drop "
        f"{what}; give 0, {nearest:.6g}{',' * bool(fix)}{fix}"
      )


def rates(config: Any) -> dict[str, float]:
  """Return {dotted name: rate} of a run, of pre-training or fine-tuning."""
  own, prefix = getattr(config, "model", config), ""
  if own is not config:
    prefix = "model."
  return {f"{prefix}{name}": getattr(own, name) for name in _NAMES}
