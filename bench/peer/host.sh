#!/bin/bash
# In the KVM host: runs Debian's kernel as a guest of KVM, twice, once for each kind of devices.
#
#   host.sh OFFSET MEM RUN-VIRTIO RUN-EMULATED    OFFSET: where on /dev/trident the guest's disk is;
#                                                 MEM: MiB; RUN: for the guest's init, in base64;
#                                                 without the second one there is no second guest
#
# What each guest prints goes to a pipe, as natively it goes to one of QEMU's, and from there to
# /root/NAME.out. /root/kvmtool, if it is there, takes the place of QEMU (and has no AHCI).
cd /root || exit 1
insmod kvm.ko || exit 1
dmesg | grep 'kvm \['
offset=$1 mem=$2
words="loglevel=4 trident.run"
disk="driver=raw,node-name=disk,offset=$offset,size=$((64 << 20)),cache.direct=on"
disk="$disk,file.driver=host_device,file.filename=/dev/trident,file.cache.direct=on"

run_qemu() {
    timeout 1200 qemu-system-riscv64 -M virt -accel kvm -cpu host -smp 1 -m "${mem}M" -display none \
        -nic none -no-reboot -monitor none -kernel Image -initrd guest.cpio.gz \
        -global virtio-mmio.force-legacy=false -chardev stdio,id=console,signal=off \
        -blockdev "$disk" "$@"
}

keep() {
    cat >"/run/$1.out"
}

run() {
    local name=$1 status
    shift
    "$@" </dev/null 2>"$name.err" | keep "$name"
    status=${PIPESTATUS[0]}
    cp "/run/$name.out" "$name.out"
    echo "peer: $name ended with status $status, $(wc -c <"$name.out") bytes"
    head -n 5 "$name.err"
    return "$status"
}

if [ -e kvmtool ]; then
    chmod +x kvmtool
    echo kvmtool >vmm.out
    # It knows no offset: its disk is a file.
    dd if=/dev/trident of=disk.img bs=1M iflag=skip_bytes skip="$offset" count=64 status=none
    run virtio timeout 1200 ./kvmtool run --kernel Image --initrd guest.cpio.gz --mem "$mem" --cpus 1 \
        --disk disk.img,direct --console serial --params "console=ttyS0 $words=$3"
    exit
fi
qemu-system-riscv64 --version | head -n 1 >vmm.out
run virtio run_qemu -device virtio-blk-device,drive=disk -serial none \
    -device virtio-serial-device -device virtconsole,chardev=console \
    -append "console=tty0 console=hvc0 $words=$3" || exit
[ -z "$4" ] ||
    run emulated run_qemu -device ich9-ahci,id=ahci -device ide-hd,drive=disk,bus=ahci.0 \
        -serial chardev:console -append "console=ttyS0 $words=$4"
