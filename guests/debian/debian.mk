# The Debian root file system for GUEST=linux. Included by guests/linux/linux.mk.
# The image is a template: a run with ROOT=debian gets a copy of it as its disk.

DEBIAN      := $(BUILD)/debian
DEBIAN_SIZE ?= 1G

.PHONY: guest-debian
guest-debian: $(LINUX)/Image $(LINUX)/debian.cpio.gz $(DEBIAN)/root.img

$(DEBIAN)/versions: | $(BUILD)/.setup-run
	guests/debian/fetch $(DEBIAN)

$(DEBIAN)/root.img: $(DEBIAN)/versions guests/debian/mkroot \
		$(addprefix guests/linux/,trident-run poweroff)
	guests/debian/mkroot $(DEBIAN) $@ $(DEBIAN_SIZE)

$(LINUX)/debian.cpio.gz: $(LINUX)/versions \
		$(addprefix guests/linux/,pack init trident-run poweroff)
	guests/linux/pack $(LINUX)/root $@ --module ext4 --module crc32c_generic
