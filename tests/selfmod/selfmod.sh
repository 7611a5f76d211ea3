#!/bin/sh
# selfmod-all [ROUNDS]: has Debian's kernel rewrite its own code in every way that it knows, and says
# what came of it. The lines it prints are the same on every machine; the last one is "selfmod: ok".

rounds=${1:-3}
failures=0
fail() {
    echo "FAILED $*"
    failures=$((failures + 1))
}
# expect WHAT SAW RIGHT
expect() {
    if [ "$2" = "$3" ]; then echo "$1: $2"; else fail "$1: $2, and not $3"; fi
}

mount -t tracefs t /sys/kernel/tracing || fail "no tracefs"
cd /sys/kernel/tracing || exit 1
names="getppid getpid getpgid getpriority"
function=__riscv_sys_getppid

# Static keys: each switch rewrites the branches that hang on it.
i=0
while [ $i -lt $((rounds * 3)) ]; do
    echo 1 >/proc/sys/kernel/sched_schedstats
    selfmod call 20
    echo 0 >/proc/sys/kernel/sched_schedstats
    i=$((i + 1))
done
expect "static key" "$(cat /proc/sys/kernel/sched_schedstats)" 0

# Trace events: a static key in the function and one in the entry of each system call.
i=0
while [ $i -lt "$rounds" ]; do
    echo >trace
    echo 1 >events/syscalls/sys_enter_getppid/enable
    selfmod call $((40 + i))
    echo 0 >events/syscalls/sys_enter_getppid/enable
    selfmod call 10
    expect "event round $i" "$(grep -c 'sys_getppid(' trace)" $((40 + i))
    i=$((i + 1))
done

# The function tracer: the entry of a function becomes a call and a nop again.
i=0
while [ $i -lt "$rounds" ]; do
    echo >trace
    echo "$function" >set_ftrace_filter
    echo function >current_tracer
    selfmod call $((30 + i))
    counted=$(grep -c "$function <-" trace)
    echo nop >current_tracer
    selfmod call 10
    expect "function round $i" "$counted" $((30 + i))
    i=$((i + 1))
done
echo '__riscv_sys_get*' >set_ftrace_filter
expect "functions of a pattern" "$(grep -c "$function" set_ftrace_filter)" 1
echo function_graph >current_tracer
selfmod call 25
counted=$(grep -c "$function" trace)
echo nop >current_tracer
expect "function graph" "$counted" 25

# All of them: 38,000 places.
echo >set_ftrace_filter
echo 0 >tracing_on
echo function >current_tracer
selfmod call 50
echo nop >current_tracer
echo 1 >tracing_on
echo >trace
expect "all functions" "$(cat enabled_functions | wc -l)" 0

# Kprobes: an instruction becomes an ebreak, and is single-stepped elsewhere. Behind the 8 bytes that
# are the function tracer's; a probe on the return would have to be on them (no KPROBES_ON_FTRACE).
i=0
while [ $i -lt "$rounds" ]; do
    : >kprobe_events
    for name in $names; do
        echo "p:x$name __riscv_sys_$name+8" >>kprobe_events
    done
    echo "p:again $function+10" >>kprobe_events
    echo "p:poke hrtimer_nanosleep+8" >>kprobe_events
    echo 1 >events/kprobes/enable
    selfmod call $((100 + i))
    usleep 1000
    echo 0 >events/kprobes/enable
    selfmod call 10
    counted=$(awk '$1 == "xgetppid" || $1 == "again" {print $2 + $3}' kprobe_profile | tr '\n' ' ')
    expect "kprobes round $i" "$counted" "$((100 + i)) $((100 + i)) "
    expect "kprobe on the sleep" "$(awk '$1 == "poke" {print ($2 > 0)}' kprobe_profile)" 1
    : >kprobe_events
    i=$((i + 1))
done

# Modules: code is loaded, relocated, patched, run and freed, where other code has been.
i=0
while [ $i -lt $((rounds * 2)) ]; do
    modprobe ext4 || fail "modprobe ext4"
    grep -q ext4 /proc/filesystems || fail "ext4 is not there"
    modprobe -r ext4 2>/dev/null || rmmod ext4
    grep -q '^ext4 ' /proc/modules && fail "ext4 is still there"
    i=$((i + 1))
done
expect "modules left" "$(grep -c '^ext4 ' /proc/modules)" 0

# eBPF: interpreted, then compiled.
for jit in 0 1 0 1; do
    echo $jit >/proc/sys/net/core/bpf_jit_enable
    selfmod filter $((60 + jit)) || fail "filter"
    selfmod bpf $((20 * rounds)) 7 || fail "bpf"
done

dmesg | grep -E 'rcu.*(stall|detected)|soft lockup|blocked for more|BUG|WARNING|Oops|Call Trace|hung_task|ftrace bug' &&
    fail "the kernel complained"
[ $failures = 0 ] && echo "selfmod: ok"
exit $failures
