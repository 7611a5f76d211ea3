# What the guest's scripts share; read with `.`

failures=0
fail() {
    echo "FAILED $*"
    failures=$((failures + 1))
}

# Checksum of 4 KiB blocks FIRST COUNT, from the disk and not from the cache.
sum() {
    dd if=/dev/trident bs=4k skip="$1" count="$2" iflag=direct 2>/dev/null | md5sum
}

# Reads the disk for as long as it is there.
read_on() {
    while dd if=/dev/trident of=/dev/null bs=64k count=512 iflag=direct; do :; done 2>/dev/null
}

# stop_reading PID: of read_on.
stop_reading() {
    kill "$1" 2>/dev/null
    wait
    local tries=0
    while killall dd 2>/dev/null && [ $tries -lt 100 ]; do # until it has gone, the disk is open
        tries=$((tries + 1))
        sleep 0.05
    done
}

# Waits up to 10 s for the disk and makes /dev/trident point at it; sets $disk.
find_disk() {
    tries=0
    while [ $tries -lt 100 ]; do
        for path in /sys/block/vd? /sys/block/sd?; do
            name=${path##*/}
            if [ -b "/dev/$name" ]; then
                disk=$name
                ln -sf "$disk" /dev/trident
                return 0
            fi
        done
        tries=$((tries + 1))
        sleep 0.1
    done
    return 1
}

# Lines of the kernel's log that no test expects.
complaints() {
    dmesg | grep -E 'rcu.*(stall|detected)|soft lockup|blocked for more|BUG|WARNING|Oops|Call Trace|hung_task'
}

finish() {
    complaints && fail "the kernel complained"
    [ $failures = 0 ] && echo "soak: ok"
    exit $failures
}
