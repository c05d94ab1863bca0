# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What a run would need on TPUs that nobody has to own.

The train step of a run is compiled ahead of time, on a CPU host, by the
compiler that the TPU would use. What that tells (memory, collectives, FLOPs)
is exact; what is reckoned from it (times) are bounds, and never measurements.
"""
