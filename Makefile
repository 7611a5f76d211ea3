# Trident. `make help` lists targets and options; `make DEVICE=virtio qemu` runs it.

# These are the shell's: what is meant by a slip for an option would take the recipes' programs away.
SHELLS := PATH SHELL
near_PATH := PATCH
near_SHELL := SHADOW
$(foreach v,$(SHELLS),$(if $(filter command,$(firstword $(origin $v))),$(error trident: there is no option $v: \
	did you mean $(near_$v)=$(value $v)? ($v is the shell's; set it in the environment, before make))))

# --- Options. scripts/run explains, checks and uses them; they reach it by the environment. -------
OPTIONS := DEVICE UART DISK DISK_MODEL GUEST ROOT KERNEL INITRD APPEND MEM MMU DISK_IMG DISK_SIZE DISK_RO DISK_ERROR WATCH EAGER RUN \
	PATCH SHADOW PLIC ABLATE STATS TIMES QUIET TIMEOUT ICOUNT QEMU TRACE TRACE_MAX EVENT HTML ONCE
# What was set on the command line, so that a misspelt option is refused and not ignored.
export GIVEN := $(strip $(foreach v,$(.VARIABLES),$(if $(filter command,$(origin $v)),$v)))
# Other variables that are set from outside, and those of them that become part of file names in rules.
SETTINGS := ONLY QUICK FULL N SEED MIN W OP OPS A B HOSTS RESULTS PEER KVMTOOL SETUP
NAMES := BUILD CROSS COMPILER KERNEL DEBIAN_SIZE
# What comes from outside is taken as it stands: `$` in it is not make's. Their origin is `override` afterwards.
$(foreach v,$(sort $(GIVEN) $(OPTIONS) $(SETTINGS) $(NAMES)),$(if $(filter command environment,$(firstword $(origin $v))),\
	$(eval export override $v := $$(value $v))))
SPECIAL := $$ ` ' " ; & | < > ( ) * ? [ ] { } : % ~ ! \ = \#
special = $(strip $(foreach c,$(SPECIAL),$(findstring $c,$1)))$(filter-out 0 1,$(words $1))
$(foreach v,$(NAMES),$(if $(call special,$($v)),$(error trident: $v=$($v) becomes part of file names in make: \
	use letters, digits and . _ - / + only)))
# Text as one word of the shell.
quote = '$(subst ','\'',$1)'

DEVICE     ?= virtio
UART       ?= $(DEVICE)
DISK       ?= $(DEVICE)
DISK_MODEL ?= ahci
GUEST      ?= trident
MEM        ?= 512M
MMU        ?= sv39
DISK_SIZE  ?= 64M
# `make walk` shows the textbook, unless told otherwise.
PATCH      ?= $(if $(filter walk,$(MAKECMDGOALS)),off,inline)
SHADOW     ?= all
export OPTIONS $(OPTIONS)

# --- Tools. -----------------------------------------------------------------------------------------
BUILD ?= build
CROSS ?= riscv64-unknown-elf-
LD    := riscv64-linux-gnu-ld
PICOLIBC     := /usr/lib/picolibc/riscv64-unknown-elf
PICOLIBC_INC := $(PICOLIBC)/include
PICOLIBC_LIB := $(PICOLIBC)/lib/rv64imac/lp64/libc.a
LIBFDT_INC   := build/libfdt/include
LIBFDT_LIB   := build/libfdt/libfdt.a

# `make COMPILER=clang trident` builds the VMM with clang, in a folder of its own.
COMPILER ?= gcc
O     := $(BUILD)/trident$(if $(filter clang,$(COMPILER)),-clang)
# clang 14 knows Zicsr and Zifencei as part of I, as the older specification did.
ISA   := $(if $(filter clang,$(COMPILER)),rv64imac,rv64imac_zicsr_zifencei)
CC    := $(if $(filter clang,$(COMPILER)),clang --target=riscv64-unknown-elf,$(CROSS)gcc)
FLAGS := -march=$(ISA) -mabi=lp64 -mcmodel=medany -fPIE -fno-plt -fvisibility=hidden -ffunction-sections -std=c11 -O2 -g \
	-ffreestanding -fno-common -DPICOLIBC_INTEGER_PRINTF_SCANF \
	-Wall -Wextra -Wshadow -Wmissing-prototypes -Werror \
	-I. -Icore -I$(O) -isystem $(PICOLIBC_INC) -isystem $(LIBFDT_INC)
LIBGCC = $(shell $(CROSS)gcc -march=rv64imac -mabi=lp64 -print-libgcc-file-name)

# --- The VMM. ---------------------------------------------------------------------------------------
# By layer, from the bottom: each may use those above it here (tests/layers).
CORE_OBJS := \
	$(addprefix core/isa/,decode.o decode_compressed.o interpret.o liveness.o overlap.o fp.o string.o) \
	$(addprefix core/host/,bounce.o channel.o console.o disk.o disk_request.o firmware.o fwcfg.o guard.o hart.o hold.o instret.o log.o \
		machine.o panic.o plic.o pool.o virtio.o) \
	$(addprefix core/vm/,csr.o emulate.o priv.o ram.o run.o stats.o timer.o vcpu.o walk.o window.o) \
	$(addprefix core/engine/trap/,vector.o trap.o engine.o ahead.o ahead_trace.o brief.o inline.o inline_body.o inline_code.o patch.o patch_code.o rights.o shadow.o \
		shadow_drop.o shadow_fence.o shadow_fill.o shadow_page.o shadow_renew.o shadow_search.o site.o) \
	$(addprefix core/board/,board.o device.o lines.o loader.o plic.o plicmap.o rtc.o sbi.o sbi_console.o sbi_harts.o tree.o vplic.o windows.o) \
	$(addprefix core/observe/,control.o names.o report.o timeline.o) \
	core/boot.o core/entry.o core/main.o core/options.o
DEVICE_OBJS := \
	devices/emulated/uart.o $(addprefix devices/emulated/disk/,ahci.o ahci_command.o ahci_fis.o ahci_prd.o ahci_slots.o ata.o ata_command.o ata_transfer.o) \
	$(addprefix devices/paravirt/,console.o disk.o disk_request.o mmio.o ring.o) \
	$(addprefix devices/passthrough/,assign.o uart.o disk.o)
OBJS := $(addprefix $O/,$(CORE_OBJS) $(DEVICE_OBJS))
TRIDENT := $O/trident.elf

.PHONY: help trident qemu gdb trace walk examples top stats where pause resume reset check bench fmt loc clean options nothing
help:
	@cat scripts/help.txt

trident: $O/trident.bin

$O/trident.bin: $O/trident.elf
	$(CROSS)objcopy -O binary $< $@

$O/trident.elf: $(OBJS) core/trident.ld $(LIBFDT_LIB)
	$(LD) -m elf64lriscv -pie --no-dynamic-linker -z norelro -z text --gc-sections --build-id=none \
		--no-warn-rwx-segments -T core/trident.ld -o $@ $(OBJS) $(LIBFDT_LIB) $(PICOLIBC_LIB) $(LIBGCC)
	$(CROSS)objdump -dS $@ > $O/trident.asm
	$(CROSS)nm -n $@ > $O/trident.sym

$O/%.o: %.c Makefile | $(LIBFDT_LIB)
	@mkdir -p $(@D)
	$(CC) $(FLAGS) -MMD -MP -c $< -o $@

# Its loops must stay loops: gcc would see a memset in memset.
$O/core/isa/string.o: FLAGS += $(if $(filter clang,$(COMPILER)),,-fno-tree-loop-distribute-patterns)

# The guest's f registers are moved by the one file that may name them.
$O/core/isa/fp.o: FLAGS += -march=$(subst imac,imafdc,$(ISA))

$O/%.o: %.S Makefile $O/offsets.h
	@mkdir -p $(@D)
	$(CC) $(FLAGS) -MMD -MP -c $< -o $@

# Assembly owns no numbers: offsets.c is compiled to assembly, whose "->NAME value" lines are these.
$O/offsets.h: core/engine/trap/offsets.c Makefile | $(LIBFDT_LIB)
	@mkdir -p $(@D)
	$(CC) $(FLAGS) -MMD -MP -MT $@ -MF $O/offsets.d -S $< -o $O/offsets.s
	sed -n 's/.*"->\([A-Z0-9_]*\) \([-0-9]*\)".*/#define \1 \2/p' $O/offsets.s > $@

-include $(OBJS:.o=.d) $O/offsets.d

# --- Guests, and what is fetched. ---------------------------------------------------------------------
-include guest-drivers/guest.mk
-include guests/linux/linux.mk
$(GUEST_PATHS): | $(LIBFDT_LIB)

$(LIBFDT_LIB): scripts/fetch-libfdt scripts/apt-mirrors | $(BUILD)/.setup-run
	scripts/fetch-libfdt

# Tools are looked for, and installed if allowed, once for each list of packages.
$(BUILD)/.setup-%: scripts/setup
	@mkdir -p $(BUILD)
	@scripts/setup $*
	@touch $@

# --- Running. -----------------------------------------------------------------------------------------
GUEST_FILES := $(if $(filter trident,$(GUEST)),$(BUILD)/guest/trident-guest.elf) \
	$(if $(filter linux,$(GUEST)),$(if $(filter debian,$(ROOT)),guest-debian,guest-linux)) \
	$(if $(filter uboot,$(GUEST)),guest-uboot $(if $(filter debian,$(ROOT)),guest-debian))
# The names in a timeline.
trace: SYMBOLS := $(if $(filter linux,$(GUEST)),$(LINUX)/System.map)
RUN_FILES := $(if $(filter native,$(DEVICE)),,$(BUILD)/trident/trident.bin) $(GUEST_FILES)

# For a run that needs no file of ours: no goal at all would be the help.
nothing: ;

# A bad option is refused before anything is installed or built.
options:
	@! command -v python3 > /dev/null || scripts/run --check

qemu gdb trace: options | $(BUILD)/.setup-run
	@$(MAKE) --no-print-directory -s $(or $(strip $(RUN_FILES) $(SYMBOLS)),nothing)
	@scripts/run $(if $(filter-out qemu,$@),--$@)

walk: options | $(BUILD)/.setup-run
	@$(MAKE) --no-print-directory -s trident $(BUILD)/guest/trident-guest.elf
	@scripts/walk

# The examples in the documentation, from real runs.
examples: | $(BUILD)/.setup-check
	@$(MAKE) --no-print-directory -s trident $(BUILD)/guest/trident-guest.elf
	@scripts/examples

top:
	@scripts/top

stats:
	@scripts/stats

where pause resume reset:
	@scripts/stats $@

# --- Tests and tidiness. --------------------------------------------------------------------------------
include tests/unit/unit.mk
include tests/diff/diff.mk
include tests/guests/guests.mk
include tests/hosts/hosts.mk
include tests/soak/soak.mk
include tests/selfmod/selfmod.mk
include bench/workloads/workloads.mk
include bench/bench.mk

check: | $(BUILD)/.setup-check
	@tests/check

SOURCES = $(shell git ls-files '*.c' '*.h')
fmt: | $(BUILD)/.setup-check
	clang-format -i $(SOURCES)

loc:
	@for folder in core devices/emulated devices/paravirt devices/passthrough guest-drivers guests \
		bench scripts tests docs; do \
		git ls-files -s $$folder | grep -v ^120000 | cut -f 2 | xargs -r cat | wc -l | xargs printf '%-22s %6s\n' $$folder; done

clean:
	rm -rf $(BUILD)
