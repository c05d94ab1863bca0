# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Judge whether attention computes what no window holds."""

from collections.abc import Iterator

from bertjax.config import PretrainConfig
from bertjax.config.checks.kernels import SHORTEST_SPLASH, spares_pairs
from bertjax.train import flops
from launch.preflight.findings import Finding, judge
from launch.preflight.policy import Policy


def judge_windows(
  config: PretrainConfig, platform: str, policy: Policy
) -> Iterator[Finding]:
  """Judge the pairs of positions that are computed and masked.

  Args:
    config: config of a phase, with the kernel that was chosen for it.
    platform: of its devices, as `kernels.platform_of` names it.
    policy: limits and levels that the user set.
  """
  model, length = config.model, config.data.seq_length
  if not spares_pairs(model, platform, length):
    return
  share = 0.0
  if flops.kernel_reach(model, config.compute) is None:
    reach = min(model.attention_window // 2, length - 1)
    inside = flops.pairs_within(reach + 1, length) / length**2
    local = 1 - flops.global_layers(model) / model.num_layers
    share = local * (1 - inside)
  rate = model.attention_dropout_rate
  yield judge(
    "masked_pairs",
    share,
    f"{share:.0%} of the scores of attention are outside of windows of "
    f"{model.attention_window} tokens, and compute.attention="
    f"{config.compute.attention} computes and keeps all {length} x {length} "
    "of them",
    "set --config.compute.attention=splash"
    + " and --config.model.attention_dropout_rate=0" * bool(rate)
    + ", with rows of a multiple of 128 tokens"
    + f", or rows below {SHORTEST_SPLASH}",
    policy,
  )
