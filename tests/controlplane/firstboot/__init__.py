# SPDX-License-Identifier: Apache-2.0
"""What an appliance is told at its first boot."""
