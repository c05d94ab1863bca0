# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Make a bundle from a Hugging Face directory on this machine.

  python -m launch.import_weights --source=DIR --output=BUNDLE \
    [--new=mlm_head,pair_head,pooler] [--drop_added_tokens]

Its model is a BERT, RoBERTa (XLM-R and CamemBERT with it), DistilBERT, ALBERT
or ModernBERT. An encoder with all, some or none of the pre-training heads
becomes a pre-trained bundle. --new names the parts to initialize; any other
part that the directory lacks is an error. A model with a head of fine-tuning
(`BertForSequenceClassification` of one label, of several labels or of a score,
those for tokens, for answers in a text and for multiple choice, and other
families') becomes a fine-tuned bundle, which `launch.export` can export again.

Tokens that were added to a vocabulary, such as [E1], are matched before words
are cut, as in transformers. Where that cannot be done, as with a SentencePiece
model, they are refused. --drop_added_tokens leaves them out.
"""

import dataclasses
import json
import logging
import os
import pathlib
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import jax
from absl import flags

from bertjax import files
from bertjax.checkpoints import bundle as bundles
from bertjax.config import ModelConfig, checks
from bertjax.finetune.task import Head
from bertjax.interop import architectures
from bertjax.interop.architectures import (
  MULTIPLE_CHOICE,
  PRETRAINING,
  QUESTION_ANSWERING,
  parts_of,
)
from bertjax.interop.huggingface_files import (
  CONFIG,
  WEIGHTS,
  Loaded,
  load_model,
)
from bertjax.interop.provenance import RECORD, read_provenance
from bertjax.model import BertForPreTraining
from bertjax.model.parameters import MLM_HEAD, PAIR_HEAD, POOLER
from bertjax.train import rng
from data_pipelines.tokenizers.added_tokens import AddedTokensError
from data_pipelines.tokenizers.huggingface_import import load_huggingface
from data_pipelines.tokenizers.huggingface_names import CONFIG_FILE
from data_pipelines.tokenizers.tokenizer import Tokenizer
from launch import cli
from launch.commands import output_paths
from launch.run import ownership

Path = str | os.PathLike[str]
COMMAND = "launch.import_weights"


def run(
  *,
  source: Path,
  output: Path,
  new: Sequence[str] = (),
  seed: int = 0,
  seq_length: int | None = None,
  pair: bool | None = None,
  drop_added_tokens: bool = False,
) -> pathlib.Path:
  """Write the bundle `output` from the folder `source`.

  Args:
    source: folder with config.json, model.safetensors (or its index and the
      files that it names) and a tokenizer's files.
    output: folder to make; a bundle there is replaced, if it was imported.
    new: parts of pre-training to initialize, whether `source` has them or not:
      mlm_head and, where the family has them, pooler and pair_head.
    seed: seed of the initialization.
    seq_length: tokens to which a classifier truncates a text; None takes what
      the folder says, or all positions of the model.
    pair: whether a classifier reads pairs of texts; None takes what the folder
      says, or False.
    drop_added_tokens: whether a text's added tokens are cut like other words.

  Returns:
    `output`.

  Raises:
    ValueError: there is no such model, it does not fit its config or its
      tokenizer, or it lacks parts that `new` does not name.
  """
  output_paths.check_folder("output", output)
  root, target = pathlib.Path(source), pathlib.Path(output)
  _check_target(root, target)
  checks.check_seed(seed)
  if not root.is_dir():
    raise ValueError(f"--source={source} is not a folder on this machine")
  loaded = _load(root, new)
  tokenizer = _load_tokenizer(root, drop_added_tokens)
  if tokenizer.vocab_size > loaded.config.vocab_size:
    raise ValueError(
      f"{root}: the tokenizer has {tokenizer.vocab_size} tokens and the word "
      f"table {loaded.config.vocab_size} rows; give the tokenizer that the "
      f"weights were trained with{_hint(tokenizer)}"
    )
  details = _details(root, loaded, new, seed)
  given = {"seq_length": seq_length, "pair": pair}
  head = _head(root, loaded, details, given, tokenizer)
  details = dataclasses.replace(
    details,
    task=None if head is None else dataclasses.asdict(head),
    tokenizer_sha256=tokenizer.sha256,
    written_by=COMMAND,
  )
  params = {**loaded.params, **_initialize(loaded.config, new, seed)}
  with tempfile.TemporaryDirectory() as folder:
    tokenizer.save(folder)
    bundles.write_bundle(target, params, loaded.config, folder, details)
  return target


def _check_target(root: pathlib.Path, target: pathlib.Path) -> None:
  """Refuse to replace anything but what was imported."""
  output_paths.check_outside("output", target, {"source": root})
  ownership.check_free("output", target, COMMAND)
  bundles.check_target(target)


def _load(root: pathlib.Path, new: Sequence[str]) -> Loaded:
  """Read the model, and tell of rates that are not kept."""
  loaded = load_model(root, new=new)
  for name, rate in loaded.lost_rates.items():
    logging.warning(
      "%s=%s of %s is not kept: a head drops at the rate of hidden states, "
      "%s here, and launch.finetune sets both by --config.hidden_dropout_rate",
      name,
      rate,
      root / CONFIG,
      loaded.config.hidden_dropout_rate,
    )
  return loaded


def _load_tokenizer(root: pathlib.Path, drop_added: bool) -> Tokenizer:
  try:
    tokenizer = load_huggingface(root)
    added = " ".join(token.content for token in tokenizer.added)
    told = f"the added tokens {added} of {root}" if added else ""
  except AddedTokensError as error:
    if not drop_added:
      raise ValueError(
        f"{error}, or leave them out with --drop_added_tokens"
      ) from error
    told = f"added tokens, of which this is known: {error}"
  else:
    if not drop_added:
      return tokenizer
  if not told:
    raise ValueError(
      f"--drop_added_tokens, but the tokenizer of {root} has no added tokens; "
      "leave the flag out"
    )
  logging.warning("left out: %s", told)
  return load_huggingface(root, drop_added=True)


def _hint(tokenizer: Tokenizer) -> str:
  if not tokenizer.added:
    return ""
  return (
    ", widen the table in transformers (resize_token_embeddings), or leave "
    "out the added tokens with --drop_added_tokens"
  )


def _details(
  root: pathlib.Path, loaded: Loaded, new: Sequence[str], seed: int
) -> bundles.Details:
  """Return the details of the exported model, or those that can be known."""
  # Nothing in a foreign folder says whether its pooler is trained. It mostly
  # is; --new=pooler says that it is not.
  before = read_provenance(root / WEIGHTS) or bundles.Details(
    pooler_trained=True
  )
  has_pooler = POOLER in parts_of(loaded.architecture, loaded.config)
  return dataclasses.replace(
    before,
    pooler_trained=before.pooler_trained and has_pooler and POOLER not in new,
    # Scores are not those of the new heads.
    evaluation={} if new else before.evaluation,
    source={
      "folder": root.resolve().name,
      "architecture": loaded.class_name,
      "sha256": {
        path.name: files.sha256_of(path)
        for path in sorted(root.glob("*.safetensors"))
      },
      **({"new": list(new), "seed": seed} if new else {}),
    },
  )


def _head(
  root: pathlib.Path,
  loaded: Loaded,
  details: bundles.Details,
  given: Mapping[str, Any],
  tokenizer: Tokenizer,
) -> Head | None:
  given = {name: value for name, value in given.items() if value is not None}
  if loaded.architecture == PRETRAINING:
    if given:
      raise ValueError(
        f"{root} is not a classifier; leave out --seq_length and --pair"
      )
    return None
  before: Mapping[str, Any] = details.task or {
    "name": root.resolve().name,
    "seq_length": _longest(root, loaded.config),
    "pair": loaded.architecture in (QUESTION_ANSWERING, MULTIPLE_CHOICE),
  }
  # The labels come from config.json, where users rename them.
  fields = {
    **before,
    **given,
    "labels": loaded.outputs.labels or before.get("labels", ()),
    "pooling": loaded.pooling,
    "architecture": loaded.architecture,
  }
  try:
    head = Head(**fields)
  except TypeError as error:
    raise ValueError(
      f"{root / RECORD} describes another kind of task ({error}); delete it to "
      "import the folder without its record"
    ) from error
  problem_type = loaded.outputs.problem_type
  if head.outputs.problem_type != problem_type:  # config.json has another task
    head = dataclasses.replace(
      head, task="", problem_type=problem_type, settings={}, temperature=None
    )
  # A token of each text, and the special tokens.
  least = tokenizer.template.count(pair=head.pair) + 1 + head.pair
  if not least <= head.seq_length <= loaded.config.max_positions:
    raise ValueError(
      f"--seq_length={head.seq_length}; give {least} to "
      f"{loaded.config.max_positions}, the positions of this encoder"
    )
  return head


def _longest(root: pathlib.Path, config: ModelConfig) -> int:
  """Return the tokens to which transformers truncates a text."""
  longest = None
  if (root / CONFIG_FILE).is_file():
    settings = json.loads((root / CONFIG_FILE).read_text(encoding="utf-8"))
    longest = dict(settings).get("model_max_length")
  # transformers writes 10³⁰ for "not known".
  if isinstance(longest, int | float) and 0 < longest < config.max_positions:
    return int(longest)
  return config.max_positions


def _initialize(
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
  flags.DEFINE_string("source", None, "Hugging Face directory to import.")
  flags.DEFINE_string("output", None, "Bundle to make.")
  flags.DEFINE_list(
    "new", [], f"Parts to initialize: {POOLER}, {MLM_HEAD}, {PAIR_HEAD}."
  )
  flags.DEFINE_integer("seed", 0, "Seed of the parts in --new.")
  flags.DEFINE_integer(
    "seq_length", None, "Tokens to which a classifier truncates a text."
  )
  flags.DEFINE_bool("pair", None, "Whether a classifier reads pairs of texts.")
  flags.DEFINE_bool(
    "drop_added_tokens",
    False,
    "Leave out tokens that were added to the vocabulary.",
  )
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
    drop_added_tokens=given.drop_added_tokens,
  )
  print(f"wrote {target}")


if __name__ == "__main__":
  define_flags()
  cli.run(main)
