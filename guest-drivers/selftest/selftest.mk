# The selftest's part of the guest (guest-drivers/guest.mk).
SELFTEST_OBJS := $(addprefix selftest/,main.o harness.o enter.o space.o external.o \
	csr.o warl.o trap.o sret.o interrupt.o permission.o paging.o marks.o fence.o satp.o code.o \
	alias.o mmio.o fp.o timer.o sbi.o plic.o \
	model.o make.o irq.o dead.o where.o text.o async.o window.o differences.o)
