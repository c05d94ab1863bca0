# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""TPUs as their vendor describes them.

chips        rates and memory of each kind of chip
slices       shapes of the slices that exist
topologies   one slice or several equal ones, and devices to compile for
"""
