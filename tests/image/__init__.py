# SPDX-License-Identifier: Apache-2.0
"""The bootable image, in a virtual machine."""
