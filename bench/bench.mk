# The benchmark and the repeated boots. Included by the top Makefile.
#   make bench [QUICK=1] [FULL=1] [ONLY=regex] [PEER=kvm]; make report [RESULTS=file]
#   make versus RUN='...' [OVER=option] [JSON=file]
#   make compare A=results.json B=results.json
#   make sweep HOSTS=file [QUICK=1] [FULL=1] [ONLY=regex]
#   make baseline
# What cannot be fetched or built (Linux, Debian's root) is left out: its cells fail and say so.
.PHONY: boots bench-files hosts report results compare sweep baseline versus
BENCH_FILES := $(BUILD)/trident/trident.bin $(BUILD)/guest/trident-guest.elf

bench-files:
	@$(MAKE) --no-print-directory -s $(BENCH_FILES)
	@needs=$$(bench/run --needs) || exit 2; \
		[ -z "$$needs" ] || $(MAKE) --no-print-directory -s -k $$needs || true

bench: | $(BUILD)/.setup-bench
	@$(MAKE) --no-print-directory -s bench-files
	@bench/run; status=$$?; [ $$status -le 1 ] || exit $$status; \
		$(MAKE) --no-print-directory -s report RESULTS=$(BUILD)/bench/results.json && exit $$status

# The page, tables and figures of what was measured; docs/results.md is made of the same, which is then stored
# beside it as docs/results.json.xz.
RESULTS ?= $(BUILD)/bench/results.json
report results: | $(BUILD)/.setup-bench
	@/usr/bin/python3 -m bench.report $(if $(filter results,$@),--document) $(call quote,$(RESULTS)) \
		$(if $(filter results,$@),docs/results.md,$(BUILD)/report)

# The same RUN on every strategy, or over another option, side by side.
versus: | $(BUILD)/.setup-run
	@$(MAKE) --no-print-directory -s $(BUILD)/trident/trident.bin $(GUEST_FILES)
	@bench/versus

compare: | $(BUILD)/.setup-bench
	@bench/compare $(call quote,$(if $(filter A,$(GIVEN)),$A)) $(call quote,$(if $(filter B,$(GIVEN)),$B))

# Hosts are looked at before anything is installed or built.
hosts:
	@! command -v python3 > /dev/null || bench/sweep --check $(call quote,$(HOSTS))

sweep: hosts | $(BUILD)/.setup-bench
	@$(MAKE) --no-print-directory -s bench-files
	@bench/sweep $(call quote,$(HOSTS))

baseline: | $(BUILD)/.setup-bench
	@$(MAKE) --no-print-directory -s $(BENCH_FILES)
	@bench/baseline --renew

N ?= 200
boots: | $(BUILD)/.setup-run
	@$(MAKE) --no-print-directory -s $(BENCH_FILES)
	@bench/boots $(call quote,$N)
