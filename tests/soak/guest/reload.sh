#!/bin/sh
# reload TIMES: takes the disk's driver out and puts it back, TIMES times, by rmmod and modprobe; then
# takes the disk from its driver with reads in flight, and gives it back. What is read stays the same.

. /bin/common
times=$1
disk=$(readlink /dev/trident)
driver=$(basename "$(readlink -f "/sys/block/$disk/device/driver")")
case $driver in
    sd) module=ahci_platform ;;
    *) module=virtio_blk ;;
esac
first=$(sum 0 256)

# Only a disk that nobody has open lets its driver go.
i=0
while [ $i -lt "$times" ]; do
    i=$((i + 1))
    read_on &
    sleep 0.1
    stop_reading $!
    rmmod $module || fail "rmmod $i"
    [ ! -e "/sys/block/$disk" ] || fail "the disk stayed after rmmod $i"
    modprobe $module || fail "modprobe $i"
    find_disk || fail "no disk after modprobe $i"
    [ "$(sum 0 256)" = "$first" ] || fail "the content differs after reload $i"
done
echo "reload: $i of $module"

# SCSI's own way: the disk is deleted and scanned for.
i=0
while [ $module = ahci_platform ] && [ $i -lt "$times" ]; do
    i=$((i + 1))
    read_on &
    sleep 0.1
    echo 1 >"/sys/block/$disk/device/delete"
    stop_reading $!
    for host in /sys/class/scsi_host/*; do echo '- - -' >"$host/scan"; done
    find_disk || fail "no disk after delete and scan $i"
    [ "$(sum 0 256)" = "$first" ] || fail "the content differs after scan $i"
done
[ $module != ahci_platform ] || echo "reload: $i of delete and scan"

# virtio's own way: the driver is taken from the device and given back.
i=0
while [ $module = virtio_blk ] && [ $i -lt "$times" ]; do
    i=$((i + 1))
    device=$(basename "$(readlink -f "/sys/block/$disk/device")")
    read_on &
    sleep 0.1
    echo "$device" >/sys/bus/virtio/drivers/virtio_blk/unbind
    stop_reading $!
    echo "$device" >/sys/bus/virtio/drivers/virtio_blk/bind
    find_disk || fail "no disk after bind $i"
    [ "$(sum 0 256)" = "$first" ] || fail "the content differs after bind $i"
done
[ $module != virtio_blk ] || echo "reload: $i of unbind and bind"
finish
