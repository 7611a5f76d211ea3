# The benchmark (without Linux, if that cannot be fetched) and the repeated boots. Included by the
# top Makefile.
.PHONY: boots
BENCH_FILES := $(BUILD)/trident/trident.bin $(BUILD)/guest/trident-guest.elf

bench: | $(BUILD)/.setup-run
	@$(MAKE) --no-print-directory -s $(BENCH_FILES)
	-@$(MAKE) --no-print-directory -s $(BUILD)/linux/Image $(BUILD)/linux/initramfs.cpio.gz
	@bench/run

N ?= 200
boots: | $(BUILD)/.setup-run
	@$(MAKE) --no-print-directory -s $(BENCH_FILES)
	@bench/boots $N
