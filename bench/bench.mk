# The benchmark and the repeated boots. Included by the top Makefile.
#   make bench [QUICK=1] [FULL=1] [ONLY=regex] [PEER=kvm]
# What cannot be fetched or built (Linux, Debian's root) is left out: its cells fail and say so.
.PHONY: boots bench-files
BENCH_FILES := $(BUILD)/trident/trident.bin $(BUILD)/guest/trident-guest.elf
BENCH_LINUX := $(LINUX)/Image $(LINUX)/initramfs.cpio.gz
BENCH_WORKLOADS := $(if $(filter 1,$(QUICK)),,$(WORKLOADS)/trixie.cpio.gz) \
	$(if $(or $(filter 1,$(FULL)),$(findstring fio,$(ONLY)),$(findstring compile,$(ONLY))),guest-debian guest-gcc) \
	$(if $(filter kvm,$(PEER)),guest-kvm)

bench-files:
	@$(MAKE) --no-print-directory -s $(BENCH_FILES)
	-@$(MAKE) --no-print-directory -s -k $(BENCH_LINUX) $(BENCH_WORKLOADS)

bench: | $(BUILD)/.setup-bench
	@$(MAKE) --no-print-directory -s bench-files
	@bench/run

N ?= 200
boots: | $(BUILD)/.setup-run
	@$(MAKE) --no-print-directory -s $(BENCH_FILES)
	@bench/boots $N
