# Endurance tests on Debian's Linux. Included by the top-level Makefile.
#   make soak MIN=10 DEVICE=virtio     load for MIN minutes, then kills, errors, resets, memory, time
#   make kill N=20 DEVICE=virtio       QEMU killed N times in the middle of writes
# tests/soak/{kill,errors,reset,memory,clock}.py are the parts, each a program of its own:
# python3 -m tests.soak.kill.
SOAK := $(BUILD)/soak
MIN  ?= 10

.PHONY: soak kill guest-soak
guest-soak: $(BUILD)/linux/Image $(SOAK)/initramfs.cpio

$(SOAK)/soak: tests/soak/guest/soak.c
	@mkdir -p $(@D)
	$(CROSS)gcc -march=rv64imac -mabi=lp64 -std=c11 -O2 -static -nostdlib -ffreestanding \
		-Wall -Wextra -Wshadow -Wmissing-prototypes -Werror -o $@ $<

SOAK_FILES := $(SOAK)/soak $(wildcard tests/soak/guest/*.sh)

$(SOAK)/initramfs.cpio: $(BUILD)/linux/debian.cpio.gz tests/soak/pack $(SOAK_FILES)
	tests/soak/pack $< $@ $(SOAK_FILES)

soak: guest-soak guest-debian trident guest | $(BUILD)/.setup-run
	/usr/bin/python3 -m tests.soak.soak $(call quote,$(DEVICE)) --minutes $(call quote,$(MIN))

kill: guest-soak trident | $(BUILD)/.setup-run
	/usr/bin/python3 -m tests.soak.kill $(call quote,$(DEVICE)) --times $(call quote,$(if $(filter N,$(GIVEN)),$N,20))
