# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Fields of `config.json` that mean the same in every family."""

from collections.abc import Mapping
from typing import Any

# From our name to theirs. Google's own checkpoints with the tanh form say
# "gelu_new".
ACTIVATIONS = {
  "gelu": "gelu",
  "gelu_tanh": "gelu_new",
  "silu": "silu",
  "relu": "relu",
}
# From all their names of the same functions to ours.
ACTIVATIONS_BACK = {
  "gelu": "gelu",
  "gelu_python": "gelu",
  "gelu_new": "gelu_tanh",
  "gelu_fast": "gelu_tanh",
  "gelu_accurate": "gelu_tanh",
  "gelu_python_tanh": "gelu_tanh",
  "gelu_pytorch_tanh": "gelu_tanh",
  "silu": "silu",
  "swish": "silu",
  "relu": "relu",
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
# Fields that are read elsewhere: the family, the class, and what a head's
# outputs mean.
READ = frozenset(
  {"architectures", "model_type", "id2label", "label2id", "num_labels"}
  | {"problem_type"}
)
