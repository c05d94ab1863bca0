# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""How tests compile: in little time, and not for the fastest program.

The suite compiles far more than it computes. The long tier runs the numeric
laws again as users compile them.
"""

FLAGS = " ".join(
  (
    "--xla_backend_optimization_level=0",
    # The emitters of LLVM take half the time of those of MLIR. A name that
    # another XLA does not know changes nothing, as that of a flag would.
    "--xla_backend_extra_options=xla_cpu_disable_new_fusion_emitters",
    # A module in parts is compiled by many threads, which costs more of each.
    "--xla_cpu_parallel_codegen_split_count=1",
  )
)
