# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Studies: arms that differ in a few fields, over the same seeds."""
