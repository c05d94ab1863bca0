# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Studies: arms over the same seeds, run one after another and compared."""
