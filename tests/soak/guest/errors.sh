#!/bin/sh
# errors KIND BLOCK...: the machine's disk fails (eio) or is full (enospc) at 4 KiB block BLOCK, or may
# not be written (readonly): that request fails and is logged, all others succeed.

. /bin/common
disk=$(readlink /dev/trident)

read_block() { dd if=/dev/trident of=/dev/null bs=4k skip="$1" count="${2:-1}" iflag=direct 2>/tmp/error; }
write_block() { dd if=/bin/busybox of=/dev/trident bs=4k seek="$1" count="${2:-1}" oflag=direct 2>/tmp/error; }
succeeds() { "$@" || fail "$* failed: $(cat /tmp/error)"; }
fails() {
    if "$@"; then
        fail "$* succeeded"
    elif ! grep -qiE 'I/O error|Input/output|Read-only|not permitted|No space|error 28' /tmp/error; then
        fail "$* failed otherwise: $(cat /tmp/error)"
    fi
}

# round KIND BLOCK
round() {
    local kind=$1 bad=$2
    case $kind in
        eio) fails read_block "$bad"; fails write_block "$bad"; fails read_block $((bad - 2)) 4 ;;
        enospc) succeeds read_block "$bad"; fails write_block "$bad" ;;
        readonly) succeeds read_block "$bad"; fails write_block "$bad" ;;
    esac
    for near in $((bad - 1)) $((bad + 1)) 0; do
        succeeds read_block "$near"
        [ "$kind" = readonly ] && continue
        succeeds write_block "$near"
        [ "$(sum "$near" 1)" = "$(dd if=/bin/busybox bs=4k count=1 2>/dev/null | md5sum)" ] ||
            fail "block $near does not hold what was written"
    done
}

kind=$1
for again in 1 2; do
    for argument; do
        case $argument in
            [0-9]*) round "$kind" "$argument" ;;
            *) kind=$argument ;;
        esac
    done
done
dmesg | grep -E "$disk|ata|virtio_blk" | tail -n 40
case $kind in
    # A disk that says it is read-only is not written to at all.
    readonly) [ "$(cat "/sys/block/$disk/ro")" = 1 ] && echo "errors: $disk is read-only" ;;
    *) false ;;
esac || dmesg | grep -qE "I/O error, dev $disk, sector" || fail "no I/O error was logged"
finish
