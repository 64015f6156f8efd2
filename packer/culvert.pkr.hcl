# SPDX-License-Identifier: Apache-2.0
# Boots the appliance's image, accepts it, seals it, and writes what came of it. Run by packer/build.

variable "image" {
  type        = string
  description = "The image as `dev image` makes it."
}

variable "output" {
  type        = string
  description = "The folder of the result; it must not be there yet."
}

variable "key" {
  type        = string
  description = "A private key for SSH, made for this run."
}

variable "authorized" {
  type        = string
  description = "Its public half, in base64."
}

variable "accelerator" {
  type    = string
  default = "kvm"
}

variable "seconds" {
  type    = string
  default = "5"
}

source "qemu" "culvert" {
  # The image itself is the disk; a copy of it, which may grow.
  disk_image       = true
  iso_url          = var.image
  iso_checksum     = "none"
  use_backing_file = false
  disk_size        = "4G"
  disk_discard     = "unmap"
  # Sealing writes zeros.
  disk_detect_zeroes = "unmap"
  disk_compression = true
  format           = "qcow2"
  output_directory = var.output
  vm_name          = "culvert.qcow2"

  accelerator  = var.accelerator
  machine_type = "q35"
  cpus         = 2
  memory       = 1024
  headless     = true
  net_device   = "virtio-net"
  qemuargs = [
    ["-cpu", var.accelerator == "kvm" ? "host" : "max"],
    ["-bios", "/usr/share/ovmf/OVMF.fd"],
    ["-serial", "file:${var.output}.console"],
    ["-smbios", "type=11,value=io.systemd.credential.binary:ssh.authorized_keys.root=${var.authorized}"],
  ]

  communicator         = "ssh"
  ssh_username         = "root"
  ssh_private_key_file = var.key
  ssh_timeout          = "20m"
  # Sealing turns the machine off.
  shutdown_command = "bash /tmp/seal"
  shutdown_timeout = "10m"
}

build {
  sources = ["source.qemu.culvert"]

  provisioner "file" {
    sources     = ["${path.root}/acceptance", "${path.root}/seal"]
    destination = "/tmp/"
  }
  provisioner "shell" {
    inline = ["bash /tmp/acceptance ${var.seconds}"]
  }
}
