# Bare guests: tests/guests/NAME.c is build/guests/NAME.elf and .bin. NAME-N is the same file with
# -DCASE=N.
# Options of the linker for one: NAME_LD (as --defsym=bare_base=0x80000000).
BARE       := $(BUILD)/guests
BARE_FLAGS := -march=rv64imac_zicsr_zifencei -mabi=lp64 -mcmodel=medany -std=gnu11 -O1 -g \
	-ffreestanding -fno-common -fno-pic -mno-relax -DPICOLIBC_INTEGER_PRINTF_SCANF \
	-Wall -Wextra -Wshadow -Wmissing-prototypes -Werror \
	-isystem $(PICOLIBC_INC) -isystem $(LIBFDT_INC) -Icore -Itests/guests
BARE_CASES := machine-1 flood-1 flood-2 flood-3 flood-4
# What follows the page of a Linux Image's header (tests/system/test_images.py).
image_LD  := -Wl,--defsym=bare_base=0x80201000
marker_LD := $(image_LD)
# Where firmware is: it would start in machine mode.
machine_LD := -Wl,--defsym=bare_base=0x80000000
BARE_CASES += $(addprefix stuck-,0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16)
BARE_CASES += cheap-2 cheap-3 dma-2
BARE_CASES += floodconsole-2 flooddisk-2 floodahci-2 floodfence-2 floodmarks-2
BARE_FILES := $(filter-out tests/guests/bare.c,$(wildcard tests/guests/*.c))
BARE_NAMES := $(BARE_FILES:tests/guests/%.c=%) $(BARE_CASES)

.PHONY: guests-bare
guests-bare: $(BARE_NAMES:%=$(BARE)/%.bin)

define BARE_CASE
$(BARE)/$(1).o: tests/guests/$(firstword $(subst -, ,$(1))).c tests/guests/guests.mk \
		| $$(LIBFDT_LIB)
	@mkdir -p $$(@D)
	$$(CROSS)gcc $$(BARE_FLAGS) -DCASE=$(lastword $(subst -, ,$(1))) -MMD -MP -c $$< -o $$@
endef
$(foreach case,$(BARE_CASES),$(eval $(call BARE_CASE,$(case))))

$(BARE)/%.o: tests/guests/%.c tests/guests/guests.mk | $(LIBFDT_LIB)
	@mkdir -p $(@D)
	$(CROSS)gcc $(BARE_FLAGS) -MMD -MP -c $< -o $@

$(BARE)/%.o: tests/guests/%.S tests/guests/guests.mk
	@mkdir -p $(@D)
	$(CROSS)gcc $(BARE_FLAGS) -MMD -MP -c $< -o $@

$(BARE)/%.elf: $(BARE)/%.o $(BARE)/start.o $(BARE)/bare.o tests/guests/bare.ld
	$(CROSS)gcc -march=rv64imac -mabi=lp64 -nostdlib -static -Wl,--no-relax \
		-Wl,--build-id=none -Wl,-z,max-page-size=4096 -Wl,--no-warn-rwx-segments \
		$($*_LD) -T tests/guests/bare.ld -o $@ \
		$(filter %.o,$^) $(LIBFDT_LIB) $(PICOLIBC_LIB) -lgcc

$(BARE)/%.bin: $(BARE)/%.elf
	$(CROSS)objcopy -O binary $< $@

.PRECIOUS: $(BARE)/%.elf $(BARE)/%.o
-include $(wildcard $(BARE)/*.d)
