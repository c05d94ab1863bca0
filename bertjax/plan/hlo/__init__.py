# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Read the HLO text of a compiled program. No JAX here.

parsing       computations, instructions, and how often each one runs
elements      one line for each element of a tuple, as `parsing` expects it
collectives   what devices send to each other
products      FLOPs of matrix products
traffic       bytes to and from HBM
"""
