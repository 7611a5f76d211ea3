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

LINUX_PARTS := $(addprefix guests/linux/,pack init trident-run poweroff profile)

# The kernel of release $(2) in folder $(1). debian.cpio.gz is the initramfs that can mount ext4.
define LINUX_RULES
$(1)/versions: | $(BUILD)/.setup-run
	guests/linux/fetch $(1) $(2)

$(1)/Image: $(1)/versions guests/linux/image
	guests/linux/image $(1)/root $$@

$(1)/System.map: $(1)/Image $(1)/initramfs.cpio.gz guests/linux/symbols
	guests/linux/symbols $(1) $(2)

$(1)/initramfs.cpio.gz: $(1)/versions $(LINUX_PARTS)
	guests/linux/pack $(1)/root $$@

$(1)/debian.cpio.gz: $(1)/versions $(LINUX_PARTS)
	guests/linux/pack $(1)/root $$@ --module ext4 --module 'crc32c_generic?'
endef
$(eval $(call LINUX_RULES,$(BUILD)/linux,trixie))
$(foreach release,forky sid,$(eval $(call LINUX_RULES,$(BUILD)/linux-$(release),$(release))))

include guests/debian/debian.mk
include guests/uboot/uboot.mk
