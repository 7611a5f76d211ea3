#!/bin/sh
# reboots TIMES: reboots the machine TIMES times with reads and writes in flight. The disk's first
# sector counts; its second MiB must hold what the boot before last left there.

. /bin/common
times=$1
count=$(dd if=/dev/trident bs=512 count=1 2>/dev/null | tr -d '\0')
count=${count:-0}
complaints && fail "the kernel complained"
echo "boot $count of $times"
[ $failures = 0 ] || exit 1
if [ "$count" -ge "$times" ]; then
    [ "$(dd if=/dev/trident bs=1M skip=1 count=1 2>/dev/null | md5sum)" = \
        "$(dd if=/bin/busybox bs=1M count=1 2>/dev/null | md5sum)" ] || fail "the second MiB differs"
    finish
fi
[ "$count" != 0 ] || dd if=/bin/busybox of=/dev/trident bs=1M count=1 seek=1 2>/dev/null
printf '%s\0' $((count + 1)) | dd of=/dev/trident bs=512 conv=sync 2>/dev/null
sync
read_on &
while dd if=/bin/busybox of=/dev/trident bs=64k count=16 seek=64 oflag=direct; do :; done 2>/dev/null &
sleep 0.5
reboot -f
