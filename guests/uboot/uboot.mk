# U-Boot as a guest. Included by guests/linux/linux.mk.

.PHONY: guest-uboot
guest-uboot: $(BUILD)/uboot/versions

$(BUILD)/uboot/versions: | $(BUILD)/.setup-run
	guests/uboot/fetch $(BUILD)/uboot
