# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Mixtures of made-up stores."""

from bertjax.config import DataConfig, ObjectiveConfig
from data_pipelines.rows.mixture import open_mixture
from data_pipelines.rows.mixture_pipeline import MixturePipeline

SEQ = 48


BATCH = 13


SHARES = {"long": 0.6, "short": 0.3, "other": 0.1}


def text(folder, shares):
  return ",".join(f"{folder / name}={share}" for name, share in shares.items())


def opened(folder, shares=SHARES):
  return open_mixture(DataConfig(stores=text(folder, shares)))


def make(folder, shares=SHARES, batch_size=BATCH, max_packs=0, seed=0):
  return MixturePipeline(
    opened(folder, shares),
    "train",
    objective=ObjectiveConfig(),
    data=DataConfig(seq_length=SEQ, max_packs=max_packs),
    batch_size=batch_size,
    seed=seed,
  )
