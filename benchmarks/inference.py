# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The time of the encoder without dropout, beside PyTorch and ONNX Runtime.

    python -m benchmarks.inference [--size=base] [--batch_size=8] [--compile]

All have the same random weights and the same rows without padding, and return
the hidden states. Ours is the program that `launch.predict` and `launch.embed`
compile for a batch, unrolled with the weights of each layer apart on a CPU, up
to the hidden states; it runs one batch at a time, where those keep two going.
PyTorch's is transformers' `BertModel`, and with `--compile` torch.compile's of
it, too; ONNX Runtime's are the graphs of `launch.export`, in float32 and in
int8 with ranges that are measured as it runs. All take turns, and medians are
compared. In bfloat16 the peers are PyTorch's autocast and our own float32.
"""

import contextlib
import dataclasses
import os
import pathlib
import tempfile
from collections.abc import Mapping
from typing import Any

# Before JAX starts a backend.
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import numpy as np
from absl import app, flags

from benchmarks import compiler, figures, goals, steps, turns
from benchmarks.turns import COMPILED, EAGER, ONNX, OURS, OURS_FLOAT32
from bertjax.batch import Batch
from bertjax.config import SIZES, ComputeConfig, ModelConfig, choices
from bertjax.finetune import embeddings, separate_layers
from bertjax.interop import huggingface_files
from bertjax.interop.architectures import ENCODER, init
from bertjax.model import BertForPreTraining
from bertjax.model.encoder import Encoder

INT8 = "ONNX Runtime, int8"


def compile_ours(
  config: ModelConfig, params: Mapping[str, Any], batch: Batch, dtype: Any
) -> tuple[jax.stages.Compiled, tuple[Any, Any]]:
  """Return the program that computes hidden states as predictions do.

  Returns:
    The program, and the parameters and features that it takes.
  """
  compute = ComputeConfig(dtype=dtype)
  if separate_layers.helps():
    compute = separate_layers.unrolled(compute, config.num_layers)
  model = Encoder(config, compute)

  def encode(params: Any, features: Any) -> Any:
    stacked = separate_layers.stack(params)
    return model.apply({"params": stacked}, features, deterministic=True)

  placed = jax.device_put((embeddings.encoder_params(params), batch))
  return jax.jit(encode).lower(*placed).compile(), placed


def make_ours(
  config: ModelConfig, params: Mapping[str, Any], batch: Batch, dtype: Any
) -> turns.Step:
  """Return a function that computes our hidden states."""
  compiled, placed = compile_ours(config, params, batch, dtype)
  return lambda: np.asarray(compiled(*placed))


def make_torch(
  folder: pathlib.Path, batch: Batch, dtype: str, *, compiled: bool
) -> dict[str, turns.Step]:
  """Return functions that return the hidden states of `BertModel`, by name.

  Args:
    folder: the model, as transformers stores it.
    batch: rows.
    dtype: PyTorch's is autocast to it.
    compiled: whether torch.compile takes turns as well.
  """
  import torch
  import transformers

  transformers.logging.set_verbosity_error()
  transformers.utils.logging.disable_progress_bar()
  torch.set_num_threads(os.cpu_count() or 1)
  model: Any = transformers.BertModel.from_pretrained(folder)
  model.eval()
  tensors = {
    name: torch.tensor(array, dtype=torch.long)
    for name, array in _feed(batch).items()
  }

  def cast() -> contextlib.AbstractContextManager[object]:
    if dtype == "float32":
      return contextlib.nullcontext()
    return torch.autocast("cpu", getattr(torch, dtype))

  def of(forward: Any) -> turns.Step:
    def run() -> np.ndarray:
      with torch.inference_mode(), cast():
        return forward(**tensors).last_hidden_state.float().numpy()

    return run

  made = {EAGER: of(model)}
  if compiled:
    made[COMPILED] = of(torch.compile(model))
  return made


def make_onnx(
  folder: pathlib.Path,
  config: ModelConfig,
  params: Mapping[str, Any],
  batch: Batch,
) -> dict[str, turns.Step]:
  """Return functions that return the hidden states of graphs, by name.

  Args:
    folder: where the graphs are written.
    config: shape of the encoder.
    params: its parameters.
    batch: rows.
  """
  from bertjax.interop.onnx import bert, quantization, running

  paths = {ONNX: folder / "model.onnx", INT8: folder / "model_quantized.onnx"}
  running.write_model(bert.make_model(params, config, ENCODER), paths[ONNX])
  quantization.quantize_dynamic(paths[ONNX], paths[INT8])
  fed = {name: each.astype(np.int64) for name, each in _feed(batch).items()}

  def of(path: pathlib.Path) -> turns.Step:
    session = running.open_session(path)
    return lambda: session.run(None, fed)[0]

  return {name: of(path) for name, path in paths.items()}


def make_all(
  folder: pathlib.Path,
  config: ModelConfig,
  batch: Batch,
  *,
  dtype: str = "float32",
  peers: tuple[str, ...] = (EAGER, ONNX),
) -> dict[str, turns.Step]:
  """Return all that take turns, by name, with the same weights.

  Args:
    folder: for the files of peers.
    config: shape of the encoder.
    batch: rows.
    dtype: of ours and of PyTorch's.
    peers: EAGER, COMPILED with it, and ONNX for both of its graphs.
  """
  params = jax.device_get(init(BertForPreTraining(config), jax.random.key(0)))
  made = {OURS: make_ours(config, params, batch, dtype)}
  if dtype != "float32":
    made[OURS_FLOAT32] = make_ours(config, params, batch, "float32")
  if EAGER in peers:
    huggingface_files.export_model(
      params, config, folder, architecture=ENCODER, pad_id=0
    )
    made |= make_torch(folder, batch, dtype, compiled=COMPILED in peers)
  if ONNX in peers and dtype == "float32":
    made |= make_onnx(folder, config, params, batch)
  return made


def _feed(batch: Batch) -> dict[str, np.ndarray]:
  return {
    "input_ids": batch["tokens_BS"],
    "attention_mask": batch["packs_BS"],
    "token_type_ids": batch["types_BS"],
  }


def define_flags() -> None:
  """Define the flags; not at import, because tests import this."""
  flags.DEFINE_enum("size", "base", list(SIZES), "Shape of the encoder.")
  flags.DEFINE_integer("vocab_size", 30522, "Tokens of the vocabulary.")
  flags.DEFINE_integer("batch_size", 8, "Rows.")
  flags.DEFINE_integer("seq_length", 128, "Tokens of a row.")
  flags.DEFINE_integer("rounds", 7, "Timed turns of each, after two untimed.")
  flags.DEFINE_enum(
    "dtype",
    "float32",
    list(choices(ComputeConfig, "dtype")),
    "Dtype of compute; PyTorch's is autocast to it.",
  )
  flags.DEFINE_bool("torch", True, "Time transformers' model as well.")
  flags.DEFINE_bool("compile", False, "Time it by torch.compile, too.")
  flags.DEFINE_bool("onnx", True, "Time ONNX Runtime as well, in float32.")


def main(_: object) -> None:
  """Run in turn, print medians and ratios."""
  values = flags.FLAGS
  if values.compile:
    compiler.check()
  config = dataclasses.replace(SIZES[values.size], vocab_size=values.vocab_size)
  rows, length = values.batch_size, values.seq_length
  batch = steps.make_batch(
    config.vocab_size, length, steps.full_rows(rows, length)
  )
  asked = {EAGER: values.torch, COMPILED: values.compile, ONNX: values.onnx}
  with tempfile.TemporaryDirectory() as folder:
    contenders = make_all(
      pathlib.Path(folder),
      config,
      batch,
      dtype=values.dtype,
      peers=tuple(name for name, is_asked in asked.items() if is_asked),
    )
    seconds = turns.interleave(contenders, values.rounds, turns.PAUSE)
  shape = (
    f"BERT-{values.size} {rows} × {length}, {turns.dtype_words(values.dtype)}"
  )
  print(f"inference, {shape}, {os.cpu_count()} cores")
  for line in turns.describe(seconds, rows * length):
    print(line)
  wanted = goals.find("inference", values.dtype)
  figures.record(*turns.compare(f"inference, {shape}", seconds, wanted))


if __name__ == "__main__":
  define_flags()
  app.run(main)
