# Differential sequences: `make diff N= SEED= PATCH=` (docs/testing.md). Its guest is built here.
N    ?= 1000
SEED ?= 1
DIFF := $(BUILD)/diff
DIFF_OBJS := $(addprefix $(DIFF)/,entry.o main.o run.o output.o)
DIFF_FLAGS := -march=rv64imac_zicsr_zifencei -mabi=lp64 -mcmodel=medany -std=gnu11 -O2 -g -ffreestanding \
	-fno-common -fno-pic -Wall -Wextra -Wshadow -Wmissing-prototypes -Werror \
	-isystem $(PICOLIBC_INC) -isystem $(LIBFDT_INC) -Icore

.PHONY: diff diff-guest
diff: | $(BUILD)/.setup-run
	@$(MAKE) --no-print-directory -s trident diff-guest
	@tests/diff/run --patch $(call quote,$(PATCH)) -n $(call quote,$(N)) --seed $(call quote,$(SEED))

diff-guest: $(DIFF)/guest.bin

$(DIFF)/guest.bin: $(DIFF)/guest.elf
	$(CROSS)objcopy -O binary $< $@

$(DIFF)/guest.elf: $(DIFF_OBJS) tests/diff/guest/guest.ld $(LIBFDT_LIB)
	$(CROSS)gcc -march=rv64imac -mabi=lp64 -nostdlib -static -Wl,--no-relax -Wl,--build-id=none \
		-Wl,--no-warn-rwx-segments -T tests/diff/guest/guest.ld -o $@ \
		$(DIFF_OBJS) $(LIBFDT_LIB) $(PICOLIBC_LIB) -lgcc

$(DIFF)/%.o: tests/diff/guest/%.c tests/diff/diff.mk | $(LIBFDT_LIB)
	@mkdir -p $(@D)
	$(CROSS)gcc $(DIFF_FLAGS) -MMD -MP -c $< -o $@

$(DIFF)/%.o: tests/diff/guest/%.S tests/diff/diff.mk
	@mkdir -p $(@D)
	$(CROSS)gcc $(DIFF_FLAGS) -MMD -MP -c $< -o $@

-include $(DIFF_OBJS:.o=.d)
