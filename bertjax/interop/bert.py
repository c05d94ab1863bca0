# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Names of our parameters and config fields in transformers' BERT."""

import dataclasses
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from bertjax.config import ModelConfig
from bertjax.model.parameters import Parameter, find

# Stands in a name for the number of a layer.
_LAYER = ".L."


@dataclasses.dataclass(frozen=True)
class Entry:
  """One parameter: its path here, and its name there."""

  ours: str
  theirs: str

  @property
  def row(self) -> Parameter:
    """The row of the parameter in PARAMETERS."""
    return find(self.ours)


def _dense(ours: str, theirs: str) -> list[Entry]:
  return [
    Entry(f"{ours}/kernel", f"{theirs}.weight"),
    Entry(f"{ours}/bias", f"{theirs}.bias"),
  ]


def _norm(ours: str, theirs: str) -> list[Entry]:
  return [
    Entry(f"{ours}/scale", f"{theirs}.LayerNorm.weight"),
    Entry(f"{ours}/bias", f"{theirs}.LayerNorm.bias"),
  ]


_IN, _OURS = "bert.encoder.layer.L", "encoder/layers"
TABLE: tuple[Entry, ...] = (
  *(
    Entry(
      f"encoder/embeddings/{ours}/embedding",
      f"bert.embeddings.{theirs}_embeddings.weight",
    )
    for ours, theirs in (
      ("word", "word"),
      ("position", "position"),
      ("type", "token_type"),
    )
  ),
  *_norm("encoder/embeddings/layer_norm", "bert.embeddings"),
  *_dense(f"{_OURS}/attention/query", f"{_IN}.attention.self.query"),
  *_dense(f"{_OURS}/attention/key", f"{_IN}.attention.self.key"),
  *_dense(f"{_OURS}/attention/value", f"{_IN}.attention.self.value"),
  *_dense(f"{_OURS}/attention/out", f"{_IN}.attention.output.dense"),
  *_norm(f"{_OURS}/attention_layer_norm", f"{_IN}.attention.output"),
  *_dense(f"{_OURS}/mlp_up", f"{_IN}.intermediate.dense"),
  *_dense(f"{_OURS}/mlp_down", f"{_IN}.output.dense"),
  *_norm(f"{_OURS}/mlp_layer_norm", f"{_IN}.output"),
  *_dense("pooler/dense", "bert.pooler.dense"),
  *_dense("mlm_head/dense", "cls.predictions.transform.dense"),
  *_norm("mlm_head/layer_norm", "cls.predictions.transform"),
  Entry("mlm_head/bias", "cls.predictions.bias"),
  *_dense("pair_head/dense", "cls.seq_relationship"),
  # The classifier of sequences and that of tokens have the same name.
  *_dense("classifier/dense", "classifier"),
  *_dense("span_head/dense", "qa_outputs"),
)
# Copies of tensors in the table that some files hold: copy → original.
TIED = {
  "cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight",
  "cls.predictions.decoder.bias": "cls.predictions.bias",
}
# Buffers, not parameters, of transformers before 4.31.
BUFFERS = ("bert.embeddings.position_ids",)


# From our name to theirs. Google's own checkpoints with the tanh form say
# "gelu_new".
ACTIVATIONS = {"gelu": "gelu", "gelu_tanh": "gelu_new"}
# From all their names of the same two functions to ours.
ACTIVATIONS_BACK = {
  "gelu": "gelu",
  "gelu_python": "gelu",
  "gelu_new": "gelu_tanh",
  "gelu_fast": "gelu_tanh",
  "gelu_accurate": "gelu_tanh",
  "gelu_python_tanh": "gelu_tanh",
  "gelu_pytorch_tanh": "gelu_tanh",
}
# Fields that every config.json has.
SIZES = {
  "num_layers": "num_hidden_layers",
  "hidden_size": "hidden_size",
  "num_heads": "num_attention_heads",
  "intermediate_size": "intermediate_size",
  "vocab_size": "vocab_size",
  "max_positions": "max_position_embeddings",
  "type_vocab_size": "type_vocab_size",
}
# Fields that the oldest files lack; transformers has the same defaults.
RATES = {
  "hidden_dropout_rate": "hidden_dropout_prob",
  "attention_dropout_rate": "attention_probs_dropout_prob",
  "layer_norm_epsilon": "layer_norm_eps",
  "initializer_std": "initializer_range",
}
# Fields with another value make another model; only this value, or None, can
# be read.
FIXED: Mapping[str, Any] = {
  "model_type": "bert",
  "position_embedding_type": "absolute",
  "is_decoder": False,
  "add_cross_attention": False,
  "tie_word_embeddings": True,
  "is_encoder_decoder": False,
  "tie_encoder_decoder": False,
  "pruned_heads": {},
}
# Fields that change neither parameters nor scores: what a program returns, how
# it computes, how text would be generated, how a head was trained, and where
# the file comes from.
WITHOUT_EFFECT = frozenset(
  {
    *("_attn_implementation_autoset", "_commit_hash", "_name_or_path"),
    *("attn_implementation", "chunk_size_feed_forward", "dtype", "torch_dtype"),
    *("classifier_dropout", "finetuning_task", "gradient_checkpointing"),
    *("output_attentions", "output_hidden_states", "output_past"),
    *("return_dict", "torchscript", "transformers_version", "use_bfloat16"),
    *("use_cache", "task_specific_params", "tokenizer_class", "prefix"),
    # What a CrossEncoder of sentence-transformers does with the logits.
    *("sbert_ce_default_activation_function", "sentence_transformers"),
    # Special tokens come from the tokenizer's files.
    *("bos_token_id", "eos_token_id", "pad_token_id", "sep_token_id"),
    # Google's configs of 2018, read by no program of transformers.
    *("directionality", "pooler_fc_size", "pooler_num_attention_heads"),
    *("pooler_num_fc_layers", "pooler_size_per_head", "pooler_type"),
    # Generation of text, in files of transformers before 5.
    *("bad_words_ids", "begin_suppress_tokens", "decoder_start_token_id"),
    *("diversity_penalty", "do_sample", "early_stopping", "length_penalty"),
    *("encoder_no_repeat_ngram_size", "exponential_decay_length_penalty"),
    *("forced_bos_token_id", "forced_eos_token_id", "max_length", "min_length"),
    *("no_repeat_ngram_size", "num_beam_groups", "num_beams"),
    *("num_return_sequences", "output_scores", "remove_invalid_values"),
    *("repetition_penalty", "return_dict_in_generate", "suppress_tokens"),
    *("temperature", "tf_legacy_loss", "top_k", "top_p", "typical_p"),
    # Always null where there is no decoder.
    "cross_attention_hidden_size",
  }
)
# Fields that are read elsewhere: the class, and what a head's outputs mean.
READ = frozenset(
  {"architectures", "hidden_act", "id2label", "label2id", "num_labels"}
  | {"problem_type"}
)


# Fields that are in no file: how a table starts, and where dropout acts.
_UNWRITTEN = frozenset({"init", "position_init", "mlp_dropout_place"})


def check_is_bert(config: ModelConfig) -> None:
  """Refuse an encoder that differs from BERT in more than its sizes.

  Raises:
    ValueError: the first choice that BERT has otherwise.
  """
  sizes = {*SIZES, *RATES, *_UNWRITTEN}
  for field in dataclasses.fields(config):
    value = getattr(config, field.name)
    if field.name == "activation":
      is_bert = value in ACTIVATIONS
    elif field.name == "type_vocab_size":
      is_bert = value > 0
    else:
      is_bert = field.name in sizes or value == field.default
    if not is_bert:
      raise ValueError(
        f"model.{field.name}={value} is not of BERT, and BERT's layout has no "
        "place for it; give --format=bundle"
      )


def pairs(
  config: ModelConfig, parts: Collection[str]
) -> Iterator[tuple[Entry, Any, str]]:
  """Yield each entry of `parts`, its index in our array, and its name there.

  A stacked parameter is yielded once a layer; for others the index is `...`.
  """
  for entry in TABLE:
    if entry.row.part not in parts:
      continue
    if entry.row.is_stacked:
      for layer in range(config.num_layers):
        yield entry, layer, entry.theirs.replace(_LAYER, f".{layer}.")
    else:
      yield entry, ..., entry.theirs
