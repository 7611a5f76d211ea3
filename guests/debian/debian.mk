# The Debian root file system for GUEST=linux. Included by guests/linux/linux.mk.
# The image is a template: a run with ROOT=debian gets a copy of it as its disk.

DEBIAN      := $(BUILD)/debian
DEBIAN_SIZE ?= 1G

.PHONY: guest-debian
guest-debian: $(LINUX)/Image $(LINUX)/debian.cpio.gz $(DEBIAN)/root.img

$(DEBIAN)/versions: | $(BUILD)/.setup-run
	guests/debian/fetch $(DEBIAN)

# What U-Boot boots from the disk.
DEBIAN_BOOT := $(addprefix $(BUILD)/linux/,Image debian.cpio.gz)

$(DEBIAN)/root.img: $(DEBIAN)/versions guests/debian/mkroot $(DEBIAN_BOOT) \
		$(addprefix guests/linux/,trident-run poweroff)
	guests/debian/mkroot $(DEBIAN) $@ $(DEBIAN_SIZE) $(DEBIAN_BOOT)
