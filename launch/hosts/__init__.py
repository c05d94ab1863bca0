# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Start, watch and stop the processes of one run on several hosts."""
