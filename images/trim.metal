# Folders of the generic kernel's modules that the flavour metal goes without: radios, desks, toys,
# and file systems that nothing of the appliance is on.
net/bluetooth net/mac80211 net/wireless net/nfc net/can net/ieee802154 net/6lowpan net/mac802154 net/batman-adv
net/appletalk net/ax25 net/rose net/netrom net/atm
drivers/net/wireless drivers/net/can drivers/net/hamradio drivers/net/ieee802154 drivers/net/wwan
drivers/net/arcnet drivers/net/fddi drivers/net/appletalk
drivers/bluetooth drivers/nfc drivers/iio drivers/staging drivers/comedi drivers/parport drivers/pcmcia
drivers/firewire drivers/isdn drivers/leds drivers/mtd drivers/accel drivers/gpu drivers/atm drivers/w1
drivers/input/joystick drivers/input/touchscreen drivers/input/tablet drivers/input/mouse drivers/input/misc
drivers/usb/gadget drivers/usb/misc drivers/usb/serial drivers/usb/atm drivers/usb/image
drivers/infiniband/ulp drivers/rapidio drivers/thunderbolt drivers/ntb drivers/rtc drivers/power
fs/xfs fs/btrfs fs/ocfs2 fs/gfs2 fs/f2fs fs/jfs fs/ufs fs/hfs fs/hfsplus fs/reiserfs fs/ceph fs/coda fs/afs
fs/orangefs fs/bcachefs fs/ubifs fs/jffs2 fs/nilfs2 fs/udf fs/smb fs/nfs fs/nfsd fs/dlm
