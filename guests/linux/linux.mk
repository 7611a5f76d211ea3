# The Linux guest: Debian's unmodified kernel and an initramfs. Included by the top-level Makefile.
# Fetched once into $(BUILD)/linux; "versions" is written last and says that it is all there.
#
#   KERNEL=trixie|forky|sid      the Debian release (default: trixie); others than the default go
#                                to $(BUILD)/linux-<release>
#   TRIDENT_MIRROR=http://...    a Debian mirror, where the machine's apt has none (Ubuntu)

KERNEL ?= trixie
LINUX  := $(BUILD)/linux$(if $(filter-out trixie,$(KERNEL)),-$(KERNEL))

.PHONY: guest-linux guests
guests: guest-linux guest-debian guest-uboot

guest-linux: $(LINUX)/Image $(LINUX)/initramfs.cpio.gz

$(LINUX)/versions: | $(BUILD)/.setup-run
	guests/linux/fetch $(LINUX) $(KERNEL)

$(LINUX)/Image: $(LINUX)/versions guests/linux/image
	guests/linux/image $(LINUX)/root $@

$(LINUX)/initramfs.cpio.gz: $(LINUX)/versions \
		$(addprefix guests/linux/,pack init trident-run poweroff)
	guests/linux/pack $(LINUX)/root $@

include guests/debian/debian.mk
include guests/uboot/uboot.mk
