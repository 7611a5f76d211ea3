#!/bin/sh
# fio's random reads of 4 KiB, submitted one at a time, with 1, 8 and 32 under way, on the disk behind
# the file system. Each between marks with few requests and with many, so that fio's own start can be
# subtracted.
# depth.sh FEW MANY
. /root/marks.sh
cd /root || exit 1
file_system=$(($(dumpe2fs -h /dev/trident 2>/dev/null |
    awk '/^Block count:/ { n = $3 } /^Block size:/ { print n * $3 }')))
reads() { # DEPTH REQUESTS
    fio --name=reads --filename=/dev/trident --offset=$file_system --size=32m --io_size=$(($2 * 4))k --bs=4k \
        --rw=randread --norandommap --randrepeat=1 --direct=1 --ioengine=libaio --iodepth="$1" \
        --eta=never --output-format=json --output="depth-$1-$2.json"
}
reads 1 64 || exit 1
for depth in 1 8 32; do
    for requests in "$1" "$2"; do
        mark begin "$depth-$requests"
        reads $depth "$requests" || exit 1
        mark end "$depth-$requests"
    done
done
