# What the flavour metal's initrd has besides: controllers of servers and small boxes, disks at USB.
ata_piix mpt3sas megaraid_sas smartpqi hpsa aacraid
xhci_pci ehci_pci usb_storage uas
sdhci_pci sdhci_acpi mmc_block
