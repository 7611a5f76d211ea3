# The benchmark and the repeated boots. Included by the top Makefile.
#   make bench [QUICK=1] [FULL=1] [ONLY=regex] [PEER=kvm]; make report [RESULTS=file]
# What cannot be fetched or built (Linux, Debian's root) is left out: its cells fail and say so.
.PHONY: boots bench-files report results
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
	@bench/run; status=$$?; [ $$status -le 1 ] || exit $$status; \
		$(MAKE) --no-print-directory -s report RESULTS=$(BUILD)/bench/results.json && exit $$status

# The page, tables and figures of what was measured; docs/results.md is made of the same.
RESULTS ?= $(BUILD)/bench/results.json
report results: | $(BUILD)/.setup-bench
	@/usr/bin/python3 -m bench.report $(if $(filter results,$@),--document) "$(RESULTS)" \
		$(if $(filter results,$@),docs/results.md,$(BUILD)/report)

N ?= 200
boots: | $(BUILD)/.setup-run
	@$(MAKE) --no-print-directory -s $(BENCH_FILES)
	@bench/boots $N
