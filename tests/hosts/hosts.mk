# Another Debian release's QEMU and firmware, for tests/system/test_hosts.py. Included by the top-level Makefile.
$(BUILD)/hosts/%/versions: | $(BUILD)/.setup-run
	tests/hosts/fetch $(BUILD)/hosts/$* $*
