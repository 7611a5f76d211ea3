# Endurance tests on Debian's Linux. Included by the top-level Makefile.
#   make soak MIN=10 DEVICE=virtio     load for MIN minutes, then kills, errors, resets, time, memory
#   make kill N=20 DEVICE=virtio       QEMU killed N times in the middle of writes
# tests/soak/{kill,errors,reset,clock,memory} are the parts, each a program of its own.
SOAK := $(BUILD)/soak
MIN  ?= 10
N    ?= 20

.PHONY: soak kill guest-soak
guest-soak: $(LINUX)/Image $(SOAK)/initramfs.cpio

$(SOAK)/soak: tests/soak/guest/soak.c
	@mkdir -p $(@D)
	$(CROSS)gcc -march=rv64imac -mabi=lp64 -std=c11 -O2 -static -nostdlib -ffreestanding \
		-Wall -Wextra -Wshadow -Wmissing-prototypes -Werror -o $@ $<

# The kernel unpacks one archive after the other.
$(SOAK)/initramfs.cpio: $(LINUX)/debian.cpio.gz $(SOAK)/soak tests/soak/pack $(wildcard tests/soak/guest/*.sh)
	tests/soak/pack $< $@ $(filter-out %/pack $<,$^)

soak: guest-soak guest-debian $(BUILD)/trident/trident.bin $(BUILD)/guest/trident-guest.elf
	@tests/soak/soak $(DEVICE) --minutes $(MIN)

kill: guest-soak $(BUILD)/trident/trident.bin
	@tests/soak/kill $(DEVICE) --times $(N)
