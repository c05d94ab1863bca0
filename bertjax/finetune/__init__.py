# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Fine-tuning: a head on the encoder, seeds, learning rates, scores."""
