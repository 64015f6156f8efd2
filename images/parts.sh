# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154 # images/build sets them
# The steps of images/build; each reads and writes files of the output folder. `here` is the folder of
# the sources, `version` the version, `flavour` vm or metal, `key` and `certificate` what signs.

readonly SECTOR=512
readonly MIB=$((1024 * 1024))
readonly ESP_MIB=128
readonly ROOT_MIB=256 # of a slot; the system has room to grow in later versions
readonly HASH_MIB=8

# Ids are made of the name and the root's hash: two builds have the same ones.
uuid() {
    printf '%s' "$1" | sha256sum |
        sed -E 's/^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*/\1-\2-4\3-8\4-\5/'
}

list() { sed 's/#.*//' "$@" | tr -s '[:space:]' '\n' | sed '/^$/d'; }

# ---- the system's tree, as root.tar ----

# Makes FOLDER a tree of Debian packages, one a line, unless it is that already: debian_tree FOLDER
# PACKAGES [OPTION OF MMDEBSTRAP...]
debian_tree() {
    local tree=$1 packages=$2
    shift 2
    [ "$(cat "$tree.stamp" 2>/dev/null)" != "$packages" ] || return 0
    rm -rf --one-file-system "$tree"{,.new,.stamp}
    mmdebstrap --mode=root --variant=essential --format=directory --quiet \
        --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Languages "none"' \
        --dpkgopt=force-unsafe-io \
        --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
        --dpkgopt='path-exclude=/usr/share/doc/*' \
        --dpkgopt='path-include=/usr/share/doc/*/copyright' \
        --dpkgopt='path-exclude=/usr/share/info/*' \
        --include="$(paste -sd, <<<"$packages")" "$@" trixie "$tree.new" "$(mirror)"
    mv "$tree.new" "$tree"
    echo "$packages" >"$tree.stamp"
}

# Debian's part, kept until the packages change: base/, kernel.deb.
make_base() {
    local lists=("$here/packages") components=main
    [ "$flavour" = vm ] || lists+=("$here/packages.$flavour") components=main,non-free-firmware
    debian_tree "$1/base" "$({ list "${lists[@]}" && libraries "$1/culvert.deb"; } | sort -u)" \
        --components="$components" --customize-hook="'$here/kernel' '$1' '$flavour'"
}

make_root() {
    rm -rf --one-file-system "$1/root"
    cp -a "$1/base" "$1/root"
    "$here/customize" "$1/root" "$here" "$1" "$version" "$flavour"
    name_root "$1/root"
}

# What says which system it is, and who may sign the next one.
name_root() {
    local file=$1/usr/lib/os-release
    sed -i '/^PRETTY_NAME=/d; /^IMAGE_/d; /^VARIANT_ID=/d' "$file"
    printf 'PRETTY_NAME="Culvert %s"\nIMAGE_ID=culvert\nIMAGE_VERSION=%s\nVARIANT_ID=%s\n' \
        "$version" "$version" "$flavour" >>"$file"
    install -D -m 644 "$certificate" "$1/usr/share/culvert/update.crt"
}

# The packages that a package depends on, the first of several.
libraries() { dpkg-deb -f "$1" Depends | tr ',' '\n' | sed 's/[(|].*//; s/ //g' | sort -u; }

# The mirror that this system's packages come from.
mirror() {
    # shellcheck disable=SC2016 # apt expands it
    apt-get indextargets --no-release-info --format '$(REPO_URI)' 'Created-By: Packages' | sed -n 1p
}

# ---- what is read only, and its check ----

make_squashfs() {
    local out=$1
    rm -f "$out/root.squashfs" "$out/root.verity"
    mksquashfs "$out/root" "$out/root.squashfs" -comp zstd -Xcompression-level "${compression:-15}" -noappend \
        -no-xattrs -quiet -no-progress
    [ "$(stat -c %s "$out/root.squashfs")" -le $((ROOT_MIB * MIB)) ] || {
        echo "image: the system is larger than a slot's $ROOT_MIB MiB" >&2
        return 1
    }
    # The root hash doesn't depend on the UUID, which is made of it: the initrd knows a slot by that.
    make_verity "$out" "$(uuid verity)"
    make_verity "$out" "$(sed -E 's/^(.{8})(.{4})(.{4})(.{4})(.{12}).*/\1-\2-\3-\4-\5/' "$out/roothash")"
}

make_verity() {
    local out=$1
    veritysetup format --salt "$(printf 'culvert %s' "$SOURCE_DATE_EPOCH" | sha256sum | cut -c 1-64)" \
        --uuid "$2" "$out/root.squashfs" "$out/root.verity" |
        sed -n 's/^Root hash:[[:space:]]*//p' >"$out/roothash"
}

# ---- signing: the kernel image and boot loader for Secure Boot, updates for the appliance ----

# The key and certificate: $CULVERT_SIGN_KEY and $CULVERT_SIGN_CERT, else those in keys/, made when
# there are none.
find_keys() {
    local keys=$1/keys
    key=${CULVERT_SIGN_KEY:-$keys/update.key}
    certificate=${CULVERT_SIGN_CERT:-$keys/update.crt}
    mkdir -p "$keys"
    if [ ! -e "$key" ] && [ -z "${CULVERT_SIGN_KEY:-}" ]; then
        say "making keys for development, $keys: whoever has them can sign updates"
        (umask 077 && openssl req -new -x509 -newkey rsa:2048 -nodes -sha256 -days 3650 \
            -subj '/CN=Culvert development/' -keyout "$key.new" -out "$certificate" 2>/dev/null)
        mv "$key.new" "$key"
    fi
    openssl x509 -in "$certificate" -noout -pubkey 2>/dev/null |
        cmp -s - <(openssl pkey -in "$key" -pubout 2>/dev/null) && return
    say "$key is not the key of the certificate $certificate"
    return 1
}

# Signs a PE file in place. The time in the signature is the commit's.
sign() {
    local clock=$1/signing-time.so
    [ -e "$clock" ] || cc -shared -fPIC -O2 -o "$clock" "$here/signing-time.c"
    LD_PRELOAD=$clock sbsign --key "$key" --cert "$certificate" --output "$2" "$2" 2>/dev/null
}

# What the firmware takes as its keys, so that it starts nothing but what this key has signed: put
# where the boot loader's menu offers to enrol them.
make_enrolment() {
    local keys=$1/enrol owner name
    owner=$(uuid secure-boot)
    rm -rf "$keys"
    mkdir -p "$keys"
    cert-to-efi-sig-list -g "$owner" "$certificate" "$keys/all.esl"
    for name in PK KEK db; do
        sign-efi-sig-list -t "$(date -u -d "@$SOURCE_DATE_EPOCH" '+%Y-%m-%d %H:%M:%S')" -g "$owner" \
            -k "$key" -c "$certificate" "$name" "$keys/all.esl" "$keys/$name.auth" >/dev/null
    done
    rm "$keys/all.esl"
    openssl x509 -in "$certificate" -outform DER -out "$keys/culvert.cer"
}

# The update file. The appliance reads it from front to end: what it checks comes first.
make_update() {
    local out=$1 work=$1/update.tree file=$1/culvert-$version.update part
    rm -rf "$work" "$out"/culvert-*.update
    mkdir -p "$work"
    ln "$out/culvert.efi" "$work/kernel"
    ln "$out/root.squashfs" "$work/root"
    ln "$out/root.verity" "$work/hash"
    for part in kernel root hash; do
        jq -n --arg part "$part" --arg sha256 "$(sha256sum <"$work/$part" | cut -c 1-64)" \
            --argjson size "$(stat -c %s "$work/$part")" '{($part): {size: $size, sha256: $sha256}}'
    done | jq -s --arg version "$version" --arg flavour "$flavour" --arg hash "$(cat "$out/roothash")" \
        '{format: 1, product: "culvert", version: $version, flavour: $flavour, root_hash: $hash} + add' >"$work/manifest.json"
    openssl dgst -sha256 -sign "$key" -out "$work/manifest.sig" "$work/manifest.json"
    tar -C "$work" --format=ustar --owner=0 --group=0 --numeric-owner --mode=644 \
        --mtime="@$SOURCE_DATE_EPOCH" -cf "$file" manifest.json manifest.sig kernel root hash
    rm -r "$work"
}

# ---- the kernel image: kernel, initrd and command line in one signed file ----

# Copies a program of this system with the libraries that it is linked with.
copy_program() {
    local to=$1 library
    install -D "$2" "$to/bin/$(basename "$2")"
    ldd "$2" | grep -o '/[^ ]*' | while read -r library; do install -D "$library" "$to$library"; done
}

make_initrd() {
    local out=$1 root=$1/root kernel work=$1/initrd.tree name lists=("$here/initrd/modules.disks")
    [ "$flavour" = vm ] || lists+=("$here/initrd/modules.$flavour")
    kernel=$(basename "$root"/usr/lib/modules/*)
    rm -rf "$work"
    mkdir -p "$work"/{bin,proc,sys,dev,root,run}
    install /usr/bin/busybox "$work/bin/busybox"
    for name in sh mount cat grep sed cut tr seq dd od realpath usleep sleep reboot switch_root modprobe; do
        ln -s busybox "$work/bin/$name"
    done
    copy_program "$work" /usr/sbin/veritysetup
    install -m 755 "$here/initrd/init" "$work/init"
    list "$here/initrd/modules" >"$work/modules"
    list "${lists[@]}" >"$work/modules.disks"
    # The modules and what they depend on, uncompressed: the whole is compressed once.
    while read -r name; do
        modprobe -d "$root" -S "$kernel" --show-depends "$name"
    done < <(cat "$work"/modules{,.disks}) | sed -n "s|^insmod .*/lib/modules/||p" | sort -u | while read -r name; do
        install -D "$root/usr/lib/modules/$name" "$work/lib/modules/$name"
        xz -d "$work/lib/modules/$name"
    done
    cp "$root/usr/lib/modules/$kernel"/modules.{order,builtin,builtin.modinfo} \
        "$work/lib/modules/$kernel/"
    depmod -b "$work" "$kernel"
    find "$work" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
    (cd "$work" && find . -print0 | sort -z |
        cpio --null --create --format=newc --reproducible --owner=0:0 --quiet) |
        zstd -q -19 -T0 -o "$out/initrd" -f
}

# Its two profiles are two entries of the boot menu: the appliance, and a shell to repair it with. The
# boot loader sorts entries by the image's id first: with its own one the shell is behind all others.
make_uki() {
    local out=$1 cmdline
    cmdline="roothash=$(cat "$out/roothash") $(list "$here/cmdline" | paste -sd' ')"
    sed 's/^IMAGE_ID=.*/IMAGE_ID=culvert-rescue/' "$out/root/usr/lib/os-release" >"$out/rescue.release"
    ukify build --profile=$'ID=rescue\nTITLE=rescue' --os-release="@$out/rescue.release" \
        --cmdline="$cmdline systemd.unit=culvert-rescue.target" --output="$out/rescue.efi" >/dev/null
    ukify build --linux="$out/vmlinuz" --initrd="$out/initrd" --cmdline="$cmdline" \
        --join-profile="$out/rescue.efi" \
        --os-release="@$out/root/usr/lib/os-release" --uname="$(basename "$out"/root/usr/lib/modules/*)" \
        --output="$out/culvert.efi" >/dev/null
    sign "$out" "$out/culvert.efi"
    rm "$out"/rescue.{release,efi}
}

# ---- the disk: ESP, slot A (root and hash tree), slot B ----

make_esp() {
    local out=$1 esp=$1/esp
    make_enrolment "$out"
    cp /usr/lib/systemd/boot/efi/systemd-bootx64.efi "$out/boot.efi"
    sign "$out" "$out/boot.efi"
    rm -f "$esp"
    truncate -s "${ESP_MIB}M" "$esp"
    mformat -i "$esp" -F -N 0x43554c56 -v CULVERT ::
    mmd -i "$esp" ::EFI ::EFI/BOOT ::EFI/systemd ::EFI/Linux ::loader ::loader/keys ::loader/keys/auto
    mcopy -i "$esp" "$out/boot.efi" ::EFI/BOOT/BOOTX64.EFI
    mcopy -i "$esp" "$out"/enrol/*.auth ::loader/keys/auto/
    mcopy -i "$esp" "$here/loader.conf" ::loader/loader.conf
    mcopy -i "$esp" "$out/culvert.efi" "::EFI/Linux/culvert-$version.efi"
}

make_disk() {
    local out=$1 disk=$1/culvert.raw
    make_esp "$out"
    rm -f "$disk"
    truncate -s $(((ESP_MIB + 2 * (ROOT_MIB + HASH_MIB) + 2) * MIB)) "$disk"
    sfdisk --quiet "$disk" <<LAYOUT
label: gpt
label-id: $(uuid disk)
unit: sectors
first-lba: 2048
start=$((MIB / SECTOR)), size=$((ESP_MIB * MIB / SECTOR)), type=uefi, uuid=$(uuid esp), name="esp"
size=$((ROOT_MIB * MIB / SECTOR)), type=4f68bce3-e8cd-4db1-96e7-fbcaf984b709, uuid=$(uuid root-a), name="root-a"
size=$((HASH_MIB * MIB / SECTOR)), type=2c7357ed-ebd2-46d9-aec1-23d437ec2bf5, uuid=$(uuid hash-a), name="hash-a"
size=$((ROOT_MIB * MIB / SECTOR)), type=4f68bce3-e8cd-4db1-96e7-fbcaf984b709, uuid=$(uuid root-b), name="root-b"
size=$((HASH_MIB * MIB / SECTOR)), type=2c7357ed-ebd2-46d9-aec1-23d437ec2bf5, uuid=$(uuid hash-b), name="hash-b"
LAYOUT
    place() { # FILE, at the MiB of the disk
        dd if="$1" of="$disk" bs=1M seek="$2" conv=notrunc,sparse status=none
    }
    place "$out/esp" 1
    place "$out/root.squashfs" $((1 + ESP_MIB))
    place "$out/root.verity" $((1 + ESP_MIB + ROOT_MIB))
}
