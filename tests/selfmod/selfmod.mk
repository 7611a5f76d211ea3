# Self-modifying kernels: what tests/system/test_selfmod.py boots. Included by the top-level Makefile.
SELFMOD := $(BUILD)/selfmod

.PHONY: guest-selfmod
guest-selfmod: $(BUILD)/linux/Image $(SELFMOD)/initramfs.cpio

$(SELFMOD)/selfmod: tests/selfmod/selfmod.c
	@mkdir -p $(@D)
	$(CROSS)gcc -march=rv64imac -mabi=lp64 -std=c11 -O2 -static -nostdlib -ffreestanding \
		-Wall -Wextra -Wshadow -Wmissing-prototypes -Werror -o $@ $<

$(SELFMOD)/selfmod-all: tests/selfmod/selfmod.sh
	@mkdir -p $(@D)
	cp $< $@

$(SELFMOD)/initramfs.cpio: $(BUILD)/linux/debian.cpio.gz tests/soak/pack $(SELFMOD)/selfmod $(SELFMOD)/selfmod-all
	tests/soak/pack $< $@ $(SELFMOD)/selfmod $(SELFMOD)/selfmod-all
