# SPDX-License-Identifier: Apache-2.0
"""How speed is measured (docs/PERFORMANCE.md)."""
