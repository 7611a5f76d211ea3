#!/bin/bash
# stress-ng.sh SECONDS: stressors of the classes below, each for one second, verifying, but those
# that /root/without names. As many as SECONDS hold, evenly out of the list; 0: all.
# Writes "NAME STATUS SECONDS" for each.
cd /root || exit 1
seconds=$1
# What some stressors need, and this guest has not without an init system.
mkdir -p /dev/shm && mount -t tmpfs shm /dev/shm
busybox ifconfig lo 127.0.0.1 up
for class in cpu vm memory os filesystem interrupt scheduler; do
    # "class 'cpu' stressors: af-alg atomic ..."
    stress-ng --class "$class?" 2>&1 | sed 's/.*stressors: *//' | tr ' ' '\n'
done | grep -x '[a-z0-9-]*' | sort -u | grep -vxF -f without >stressors
all=$(wc -l <stressors)
some=$all
[ "$seconds" = 0 ] || [ "$seconds" -ge "$all" ] || some=$seconds
awk -v all="$all" -v some="$some" 'int(NR * some / all) > int((NR - 1) * some / all)' stressors >chosen
mkdir -p work
while read -r name <&3; do
    begin=$EPOCHREALTIME
    timeout -k 5 300 stress-ng --temp-path /root/work --"$name" 1 -t 1 --verify --oomable \
        >one.log 2>&1 </dev/null
    status=$?
    echo "$name $status $(awk "BEGIN { print $EPOCHREALTIME - $begin }")" >>stress-ng.out
    [ $status = 0 ] || { echo "== $name: status $status"; cat one.log; } >>stress-ng.log
    [ $status = 0 ] || echo "$name: status $status"
done 3<chosen
rm -rf work
sync
exit 0
