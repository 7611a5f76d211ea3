# Workloads in a Linux guest. Included by the top-level Makefile.
#   make nano [DEVICE=...] [OPS='null_syscall ...']   without DEVICE: native and every strategy
#   make curves DEVICE=virtio        native and this one; figures and table go to build/growth/
#   make growth                      the same into docs/, from what make curves measured last
#   make workload W=nano|curves|fio|depth|stress-ng|compile DEVICE=... [MIN=minutes] [QUICK=1]
WORKLOADS := $(BUILD)/workloads
NANO_INITRD := $(WORKLOADS)/$(or $(KERNEL),trixie).cpio.gz
NANO_DEVICES := $(if $(filter file,$(origin DEVICE)),native emulated virtio passthrough,$(call quote,$(DEVICE)))
# MIN has a default of its own (make soak's).
WORKLOAD_RUN := OPS=$(call quote,$(OPS)) QUICK=$(call quote,$(QUICK)) MIN=$(call quote,$(if $(filter file,$(origin MIN)),,$(MIN))) \
	bench/workloads/run

.PHONY: nano curves growth workload workload-files guest-gcc
$(WORKLOADS)/nano: $(addprefix bench/workloads/,nano_timer.c nano_timer.h)
$(WORKLOADS)/nano $(WORKLOADS)/curves: $(WORKLOADS)/%: bench/workloads/%.c $(addprefix bench/workloads/,stretch.c stretch.h hint.h) \
		| $(BUILD)/.setup-workload
	@mkdir -p $(@D)
	riscv64-linux-gnu-gcc -static -O2 -std=c11 -Wall -Wextra -Wshadow -Wmissing-prototypes -Werror \
		-s -o $@ $(filter %.c,$^)

$(NANO_INITRD): $(WORKLOADS)/nano $(WORKLOADS)/curves $(LINUX)/initramfs.cpio.gz
	guests/linux/pack $(LINUX)/root $@ --file bin/nano=$(WORKLOADS)/nano \
		--file bin/curves=$(WORKLOADS)/curves

# A root file system with Debian's compiler, apart from the other: it is for one workload.
GCC_PACKAGES := gcc libc6-dev mount kmod busybox-static
$(BUILD)/debian-gcc/versions: | $(BUILD)/.setup-run
	guests/debian/fetch $(BUILD)/debian-gcc $(GCC_PACKAGES)

$(BUILD)/debian-gcc/root.img: $(BUILD)/debian-gcc/versions guests/debian/mkroot \
		$(addprefix guests/linux/,trident-run poweroff)
	guests/debian/mkroot $(BUILD)/debian-gcc $@ 1G

guest-gcc: $(LINUX)/Image $(LINUX)/debian.cpio.gz $(BUILD)/debian-gcc/root.img

workload-files: $(BUILD)/trident/trident.bin $(if $(filter nano curves,$W),$(LINUX)/Image $(NANO_INITRD)) \
	$(if $(filter fio depth stress-ng,$W),guest-debian) $(if $(filter compile,$W),guest-gcc)

workload: | $(BUILD)/.setup-run
	@$(MAKE) --no-print-directory -s workload-files
	@$(WORKLOAD_RUN) workload $(call quote,$(or $W,none)) $(call quote,$(DEVICE))

nano: | $(BUILD)/.setup-run
	@$(MAKE) --no-print-directory -s W=nano workload-files
	@$(WORKLOAD_RUN) nano $(NANO_DEVICES)

curves: | $(BUILD)/.setup-curves
	@$(MAKE) --no-print-directory -s W=curves workload-files
	@$(WORKLOAD_RUN) curves $(call quote,$(DEVICE))
	@/usr/bin/python3 -m bench.draw_curves

# From build/curves.json alone.
growth: | $(BUILD)/.setup-curves
	@/usr/bin/python3 -m bench.draw_curves --docs

include bench/peer/peer.mk
include bench/attribute/attribute.mk
