# KVM, with the H extension on the same QEMU, as a peer. Included by bench/bench.mk.
#   make peer [KVMTOOL=file]     writes build/peer-kvm.json; make bench PEER=kvm has it in its results
KVM_HOST := $(BUILD)/debian-kvm

.PHONY: peer guest-kvm
$(KVM_HOST)/versions: | $(BUILD)/.setup-run
	guests/debian/fetch $(KVM_HOST) qemu-system-riscv mount kmod busybox-static

$(KVM_HOST)/root.img: $(KVM_HOST)/versions guests/debian/mkroot \
		$(addprefix guests/linux/,trident-run poweroff)
	guests/debian/mkroot $(KVM_HOST) $@ 1G

$(KVM_HOST)/kvm.ko: $(LINUX)/versions
	@mkdir -p $(@D)
	xz -dc $(LINUX)/root/usr/lib/modules/*/kernel/arch/riscv/kvm/kvm.ko.xz > $@.new
	mv $@.new $@

guest-kvm: $(LINUX)/Image $(LINUX)/debian.cpio.gz $(NANO_INITRD) $(KVM_HOST)/kvm.ko $(KVM_HOST)/root.img

peer: | $(BUILD)/.setup-workload
	@$(MAKE) --no-print-directory -s guest-kvm
	@KVMTOOL=$(call quote,$(KVMTOOL)) bench/peer/run
