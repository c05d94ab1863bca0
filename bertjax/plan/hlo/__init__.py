# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Read a compiled program's HLO text: collectives, products, traffic."""
