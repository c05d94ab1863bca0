# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Hand-written derivatives and kernels, for speed and memory alone.

Delete any of these and the model still works, with the plain expression in
its place:

- `gelu`: both flavors of GELU. Plain: `jax.nn.gelu`.
- `projection`: a product with a kernel. Plain: `jax.lax.dot_general`.
- `embedding`: rows of a table, of many or of few rows. Plain: `jnp.take`.
- `layer_norm`: layer normalization. Plain: its definition, differentiated.
- `cross_entropy`: the loss of a softmax. Plain: `jax.nn.log_softmax`.
- `dot_product`: attention inside packed examples, with dropout. Plain:
  `jax.nn.dot_product_attention` with a mask.
- `fused_attention`: the same without dropout, in a TPU or GPU kernel.
- `flash_attention`: the same with dropout, by two kernels for TPUs, which are
  in `flash_kernels`, or three for NVIDIA's GPUs, in `flash_triton`; all draw by
  `weight_draws`.
- `random_bits`: the bits of dropout. Plain: `jax.random.bits`, whose draws
  depend on how a batch is cut into micro-batches.
"""
