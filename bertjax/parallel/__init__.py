# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Where arrays lie and how processes agree: mesh, shardings, hosts."""
