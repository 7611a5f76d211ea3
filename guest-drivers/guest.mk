# The guest kernel: $(BUILD)/guest/trident-guest.elf and .bin. Included by the top Makefile, and
# usable alone: make -f guest-drivers/guest.mk
CROSS ?= riscv64-unknown-elf-
BUILD ?= build
PICOLIBC_INC ?= /usr/lib/picolibc/riscv64-unknown-elf/include
PICOLIBC_LIB ?= /usr/lib/picolibc/riscv64-unknown-elf/lib/rv64imac/lp64/libc.a
LIBFDT_INC ?= build/libfdt/include
LIBFDT_LIB ?= build/libfdt/libfdt.a

.DEFAULT_GOAL ?= guest

GUEST_DIR := $(BUILD)/guest

GUEST_OBJS := \
	kernel/boot.o \
	kernel/trap_vector.o \
	kernel/main.o \
	kernel/board.o \
	kernel/page.o \
	kernel/trap.o \
	kernel/time.o \
	kernel/time_spin.o \
	kernel/plic.o \
	kernel/sbi.o \
	kernel/console.o \
	kernel/disk.o \
	kernel/line.o \
	kernel/shell.o \
	programs/programs.o \
	programs/machine.o \
	programs/pattern.o \
	programs/disk.o \
	programs/bench.o \
	programs/benchcost.o \
	programs/benchtrap.o \
	programs/benchwait.o \
	programs/benchtrap_ops.o \
	programs/hostile.o \
	programs/uarttest.o \
	programs/disktest.o \
	emulated/uart.o \
	emulated/ahciport.o \
	emulated/ahci.o \
	emulated/ata.o \
	paravirt/ring.o \
	paravirt/console.o \
	paravirt/disk.o

# The selftest lists its objects (selftest/x.o ...) in its own fragment.
-include guest-drivers/selftest/selftest.mk
GUEST_OBJS += $(SELFTEST_OBJS)

GUEST_CFLAGS := -march=rv64imac_zicsr_zifencei -mabi=lp64 -mcmodel=medany \
	-std=gnu11 -O2 -g -ffreestanding -fno-common -fno-pic -ffunction-sections -fdata-sections \
	-Wall -Wextra -Wshadow -Wmissing-prototypes -Werror \
	-DPICOLIBC_INTEGER_PRINTF_SCANF $(if $(SELFTEST_OBJS),-DHAVE_SELFTEST) \
	-isystem $(PICOLIBC_INC) -isystem $(LIBFDT_INC) \
	-Iguest-drivers -Iguest-drivers/kernel -Icore
GUEST_PATHS := $(addprefix $(GUEST_DIR)/,$(GUEST_OBJS))

.PHONY: guest
guest: $(GUEST_DIR)/trident-guest.bin

$(GUEST_DIR)/trident-guest.bin: $(GUEST_DIR)/trident-guest.elf
	$(CROSS)objcopy -O binary $< $@

$(GUEST_DIR)/trident-guest.elf: $(GUEST_PATHS) guest-drivers/kernel/guest.ld $(LIBFDT_LIB)
	$(CROSS)gcc -march=rv64imac -mabi=lp64 -nostdlib -static -Wl,--gc-sections \
		-Wl,-z,max-page-size=4096 -Wl,--build-id=none \
		-T guest-drivers/kernel/guest.ld -o $@ \
		$(GUEST_PATHS) $(LIBFDT_LIB) $(PICOLIBC_LIB) -lgcc

$(GUEST_DIR)/%.o: guest-drivers/%.c guest-drivers/guest.mk
	@mkdir -p $(@D)
	$(CROSS)gcc $(GUEST_CFLAGS) -MMD -MP -c $< -o $@

$(GUEST_DIR)/%.o: guest-drivers/%.S guest-drivers/guest.mk
	@mkdir -p $(@D)
	$(CROSS)gcc $(GUEST_CFLAGS) -MMD -MP -c $< -o $@

-include $(GUEST_PATHS:.o=.d)
