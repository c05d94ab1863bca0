# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Make a bundle of a Hugging Face directory on this machine.

  python -m launch.import_weights --source=DIR --output=BUNDLE \
    [--new=mlm_head,pair_head,pooler]

An encoder with all, some or none of the heads of pre-training becomes a
pre-trained bundle. Parts that the directory lacks are made anew where --new
names them, and nothing else is: a name on one side only is an error. A
`BertForSequenceClassification` becomes a classifier for `launch.predict`. What
is fine-tuned for token classification or question answering becomes a bundle
that `launch.export` takes back.
"""

import dataclasses
import json
import os
import pathlib
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import jax
from absl import flags

from bertjax.checkpoints import bundle as bundles
from bertjax.config import ModelConfig, checks
from bertjax.finetune.artifact import Head
from bertjax.interop import architectures
from bertjax.interop.architectures import (
  ARCHITECTURES,
  CLASSIFICATION,
  PRETRAINING,
  QUESTION_ANSWERING,
)
from bertjax.interop.huggingface_files import (
  WEIGHTS,
  Loaded,
  load_model,
)
from bertjax.interop.provenance import (
  RECORD,
  read_provenance,
  weights_sha256,
)
from bertjax.model import BertForPreTraining
from bertjax.train import rng
from data_pipelines.tokenizers.huggingface_export import CONFIG_FILE
from data_pipelines.tokenizers.huggingface_import import load_huggingface
from launch import cli

Path = str | os.PathLike[str]


def run(
  *,
  source: Path,
  output: Path,
  new: Sequence[str] = (),
  seed: int = 0,
  seq_length: int | None = None,
  pair: bool | None = None,
) -> pathlib.Path:
  """Write the bundle `output` from the folder `source`.

  Args:
    source: has config.json, model.safetensors (or its index and the files
      that it names) and a tokenizer's files.
    output: folder to make; a bundle is replaced.
    new: parts of `BertForPreTraining` to make anew, whether `source` has them
      or not: pooler, mlm_head, pair_head.
    seed: of these.
    seq_length: of a classifier: pieces that a text is cut to; None takes what
      the folder says, and else all positions.
    pair: of a classifier: whether it reads pairs of texts; None takes what
      the folder says, and else single ones.

  Returns:
    `output`.

  Raises:
    ValueError: no such model, one that does not fit its config or its
      tokenizer, or parts that it lacks and `new` does not name.
  """
  root, target = pathlib.Path(source), pathlib.Path(output)
  bundles.check_target(target)
  checks.check_seed(seed)
  if not root.is_dir():
    raise ValueError(f"--source={source} is no folder on this machine")
  loaded = load_model(root, new=new)
  tokenizer = load_huggingface(root)
  if tokenizer.vocab_size > loaded.config.vocab_size:
    raise ValueError(
      f"{root}: the tokenizer has {tokenizer.vocab_size} pieces and the "
      f"embedding table {loaded.config.vocab_size} rows; give the tokenizer "
      "that the weights were trained with"
    )
  details = _details(root, loaded, new, seed)
  asked = {"seq_length": seq_length, "pair": pair}
  head = _head(root, loaded, details, asked)
  if head is not None:
    details[bundles.TASK] = dataclasses.asdict(head)
  details["tokenizer_sha256"] = tokenizer.sha256
  params = {**loaded.params, **_fresh(loaded.config, new, seed)}
  with tempfile.TemporaryDirectory() as folder:
    tokenizer.save(folder)
    bundles.write_bundle(target, params, loaded.config, folder, details)
  return target


def _details(
  root: pathlib.Path, loaded: Loaded, new: Sequence[str], seed: int
) -> dict[str, Any]:
  """What the bundle says of itself: its own of before, or what is known."""
  before = read_provenance(root / WEIGHTS) or {
    "step": None,
    "tokens": None,
    "evaluation": {},
    "store_sha256": None,
    # Nothing in a folder tells; who knows better has --new=pooler.
    "pooler_trained": True,
  }
  if not isinstance(before.get("pooler_trained"), bool):
    raise ValueError(
      f"{root / RECORD} does not say whether the pooler is trained; without it "
      "the folder is read as any other's"
    )
  if new:
    before["evaluation"] = {}  # of heads that are gone
  return {
    **before,
    "pooler_trained": before["pooler_trained"]
    and "pooler" in ARCHITECTURES[loaded.architecture].parts
    and "pooler" not in new,
    "source": {
      "folder": root.resolve().name,
      "architecture": loaded.architecture,
      "sha256": {
        path.name: weights_sha256(path)
        for path in sorted(root.glob("*.safetensors"))
      },
      **({"new": list(new), "seed": seed} if new else {}),
    },
  }


def _head(
  root: pathlib.Path,
  loaded: Loaded,
  details: Mapping[str, Any],
  asked: Mapping[str, Any],
) -> Head | None:
  given = {name: value for name, value in asked.items() if value is not None}
  if loaded.architecture == PRETRAINING:
    if given:
      raise ValueError(
        f"{root} holds no classifier; --seq_length and --pair are of one"
      )
    return None
  before = details.get(bundles.TASK) or {
    "name": root.resolve().name,
    "seq_length": _longest(root, loaded.config),
    "pair": loaded.architecture == QUESTION_ANSWERING,
  }
  # The labels of config.json: people give them better names there.
  fields = {
    **before,
    **given,
    "labels": loaded.labels,
    "pooling": "cls" if loaded.architecture == CLASSIFICATION else "",
    "architecture": loaded.architecture,
  }
  try:
    head = Head(**fields)
  except TypeError as error:
    raise ValueError(
      f"{root / RECORD} tells of another kind of task ({error}); without it "
      "the folder is read as any other's"
    ) from error
  if not 5 <= head.seq_length <= loaded.config.max_positions:
    raise ValueError(
      f"--seq_length={head.seq_length}; this encoder has "
      f"{loaded.config.max_positions} positions: give 5 to that"
    )
  return head


def _longest(root: pathlib.Path, config: ModelConfig) -> int:
  """Pieces that texts are cut to in transformers, as far as it is said."""
  longest = None
  if (root / CONFIG_FILE).is_file():
    settings = json.loads((root / CONFIG_FILE).read_text(encoding="utf-8"))
    longest = dict(settings).get("model_max_length")
  # Where nothing is known transformers writes 10³⁰.
  if isinstance(longest, int | float) and 0 < longest < config.max_positions:
    return int(longest)
  return config.max_positions


def _fresh(
  config: ModelConfig, parts: Sequence[str], seed: int
) -> dict[str, Any]:
  if not parts:
    return {}
  model = BertForPreTraining(config)

  def init(key: jax.Array) -> dict[str, Any]:
    params = architectures.init(model, key)
    return {part: params[part] for part in parts}

  return jax.jit(init)(rng.stream(seed, "params", 0))


def define_flags() -> None:
  """Define the flags; not at import, since `run` has other callers."""
  flags.DEFINE_string("source", None, "A Hugging Face directory.")
  flags.DEFINE_string("output", None, "Bundle to make.")
  flags.DEFINE_list(
    "new", [], "Parts to make anew: pooler, mlm_head, pair_head."
  )
  flags.DEFINE_integer("seed", 0, "Of what is made anew.")
  flags.DEFINE_integer(
    "seq_length", None, "Of a classifier: pieces that a text is cut to."
  )
  flags.DEFINE_bool("pair", None, "Of a classifier: whether it reads pairs.")
  for name in ("source", "output"):
    flags.mark_flag_as_required(name)


def main(_: Sequence[str]) -> None:
  """Import what the flags say."""
  given = flags.FLAGS
  target = run(
    source=given.source,
    output=given.output,
    new=given.new,
    seed=given.seed,
    seq_length=given.seq_length,
    pair=given.pair,
  )
  print(f"wrote {target}")


if __name__ == "__main__":
  define_flags()
  cli.run(main)
