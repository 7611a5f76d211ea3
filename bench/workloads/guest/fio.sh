#!/bin/sh
# fio on the disk behind the file system, every block written with a checksum and verified.
# fio.sh SIZE: what each job of small requests covers; those of large ones cover four times that.
cd /root || exit 1
file_system=$(($(dumpe2fs -h /dev/trident 2>/dev/null |
    awk '/^Block count:/ { n = $3 } /^Block size:/ { print n * $3 }')))
SIZE=$1 LARGE=$((${1%m} * 4))m OFFSET=$file_system \
    fio --eta=never --output-format=json --output=fio.json jobs.fio
status=$?
[ $status = 0 ] || head -n 20 fio.json
exit $status
