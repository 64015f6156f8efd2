# What the flavour metal has besides: DPDK's drivers of real NICs.
librte-net-e1000-25 librte-net-igc25 librte-net-ixgbe25 librte-net-i40e25 librte-net-iavf25 librte-net-ice25
librte-net-bnxt25
