#!/bin/bash
# Compiles program.c; writes the object's checksum and size, the seconds it took, and the compiler.
cd /root || exit 1
begin=$EPOCHREALTIME
gcc -O2 -c program.c -o program.o || exit 1
end=$EPOCHREALTIME
set -- $(sha256sum program.o) $(stat -c %s program.o) $(awk "BEGIN { print $end - $begin }")
echo "$1 $3 $4 $(gcc -dumpfullversion)" >compile.out
