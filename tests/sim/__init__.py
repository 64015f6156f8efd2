# SPDX-License-Identifier: Apache-2.0
"""The deterministic simulator of whole clusters."""
