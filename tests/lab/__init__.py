# SPDX-License-Identifier: Apache-2.0
"""The lab: sites made of network namespaces and veth pairs."""
