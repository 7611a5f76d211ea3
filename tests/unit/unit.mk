# Unit tests: programs for the build machine, each of one module (or a few) with address and
# undefined-behaviour sanitizers. Test NAME is tests/unit/test_NAME.c and what it lists here.
B := $(BUILD)/unit
HOSTCC ?= gcc
UNIT_FLAGS := -std=gnu11 -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all \
	-fno-omit-frame-pointer -Wall -Wextra -Wshadow -Werror -I. -Icore -Itests/unit -I$B

UNIT_TESTS := $(patsubst tests/unit/test_%.c,%,$(wildcard tests/unit/test_*.c))

AHCI := $(addprefix devices/emulated/disk/,ahci.c ahci_command.c ahci_fis.c ahci_prd.c \
	ahci_slots.c ata_command.c)
ATA := $(addprefix devices/emulated/disk/,ata.c ata_command.c ata_transfer.c)
INLINE := $(addprefix core/engine/trap/,inline.c inline_code.c inline_body.c) \
	$(addprefix core/isa/,interpret.c liveness.c decode.c decode_compressed.c) \
	tests/unit/inline_hart.c tests/unit/inline_beside.c tests/unit/hart.c
PARAVIRT := $(addprefix devices/paravirt/,console.c disk.c disk_request.c mmio.c ring.c) \
	tests/unit/mock.c
AHCI_GUEST := $(AHCI) tests/unit/ahci_guest.c tests/unit/mock.c
ahci_SOURCES           := $(AHCI_GUEST)
ahci_commands_SOURCES  := $(AHCI_GUEST)
ahci_hostile_SOURCES   := $(AHCI_GUEST)
ahci_prds_SOURCES      := $(AHCI_GUEST)
ahci_queued_SOURCES    := $(AHCI_GUEST)
ata_SOURCES            := $(ATA) tests/unit/mock.c
ata_transfer_SOURCES   := $(ata_SOURCES)
bounce_SOURCES         := core/host/bounce.c
csr_SOURCES            := $(addprefix core/vm/,csr.c vcpu.c timer.c) core/host/hart.c \
	tests/unit/hart.c
host_disk_SOURCES      := $(addprefix core/host/,bounce.c disk.c disk_request.c hold.c virtio.c) \
	tests/unit/host_disk_rig.c
hold_SOURCES           := core/host/hold.c
decode_SOURCES         := core/isa/decode.c core/isa/decode_compressed.c
inline_SOURCES         := $(INLINE)
inline_float_SOURCES   := $(INLINE)
inline_sites_SOURCES   := $(INLINE)
liveness_SOURCES       := $(addprefix core/isa/,liveness.c decode.c decode_compressed.c)
overlap_SOURCES        := $(addprefix core/isa/,overlap.c decode.c decode_compressed.c)
names_SOURCES          := core/observe/names.c $(sort $(AHCI) $(ATA)) devices/emulated/uart.c \
	$(addprefix devices/passthrough/,assign.c disk.c uart.c) $(PARAVIRT) \
	$(addprefix core/board/,rtc.c vplic.c windows.c)
ring_SOURCES           := $(PARAVIRT)
ring_random_SOURCES    := $(PARAVIRT)
rtc_SOURCES            := core/board/rtc.c
PAGING := $(addprefix core/engine/trap/,shadow.c shadow_fill.c shadow_drop.c shadow_search.c \
	shadow_fence.c shadow_page.c shadow_renew.c patch.c patch_code.c inline_code.c \
	inline_body.c) \
	core/vm/walk.c core/vm/ram.c core/host/pool.c \
	$(addprefix core/isa/,decode.c decode_compressed.c interpret.c liveness.c overlap.c) \
	$(addprefix tests/unit/,shadow_guest.c shadow_guest_check.c shadow_guest_run.c \
	shadow_guest_tables.c hart.c)
shadow_SOURCES         := $(PAGING)
shadow_fence_SOURCES   := $(PAGING)
sbi_SOURCES            := $(addprefix core/board/,sbi.c sbi_console.c sbi_harts.c) \
	tests/unit/sbi_rig.c
stats_SOURCES          := core/vm/stats.c core/observe/names.c core/observe/report.c \
	core/board/vplic.c tests/unit/stats_bench.c
stats_report_SOURCES   := $(stats_SOURCES)
tree_SOURCES           := core/board/tree.c core/host/machine.c
uart_SOURCES           := devices/emulated/uart.c tests/unit/mock.c
uart_streams_SOURCES   := $(uart_SOURCES)
vcpu_SOURCES           := $(addprefix core/vm/,vcpu.c timer.c) core/host/hart.c tests/unit/hart.c
virtio_blk_SOURCES     := $(PARAVIRT)
virtio_blk_layout_SOURCES      := $(PARAVIRT)
virtio_blk_many_SOURCES        := $(PARAVIRT)
virtio_console_SOURCES := $(PARAVIRT)
virtio_console_streams_SOURCES := $(PARAVIRT)
virtio_mmio_SOURCES    := $(PARAVIRT)
virtio_mmio_noise_SOURCES      := $(PARAVIRT)
vplic_SOURCES          := core/board/vplic.c
vplic_random_SOURCES   := $(vplic_SOURCES)

# Of the core with the neighbours replaced: tests/unit/rig.h.
RIG := tests/unit/rig.c tests/unit/hart.c
VCPU := $(addprefix core/vm/,vcpu.c timer.c) core/host/hart.c
control_SOURCES        := $(RIG) core/observe/control.c
run_SOURCES            := $(RIG) $(VCPU) $(addprefix core/vm/,run.c stats.c)
window_SOURCES         := $(RIG) core/vm/window.c
emulate_SOURCES        := $(RIG) $(VCPU) $(addprefix core/vm/,emulate.c window.c walk.c ram.c)
priv_SOURCES           := $(RIG) $(VCPU) $(addprefix core/vm/,priv.c csr.c) \
	$(addprefix core/isa/,decode.c decode_compressed.c)
TRAP := $(RIG) $(VCPU) $(addprefix core/engine/trap/,trap.c brief.c rights.c) core/vm/stats.c \
	tests/unit/trap_parts.c \
	$(addprefix core/isa/,decode.c decode_compressed.c)
trap_SOURCES           := $(TRAP)
brief_SOURCES          := $(RIG) $(VCPU) tests/unit/brief_rig.c tests/unit/inline_beside.c \
	$(addprefix core/engine/trap/,brief.c rights.c inline.c) \
	$(addprefix core/isa/,decode.c decode_compressed.c)
trap_code_SOURCES      := $(TRAP)
trap_fault_SOURCES     := $(TRAP)
sbi_calls_SOURCES      := $(RIG) core/board/sbi.c core/vm/timer.c core/host/hart.c
LINES := core/board/lines.c core/board/vplic.c core/host/hart.c
device_SOURCES         := $(RIG) $(LINES) core/board/device.c core/vm/ram.c
lines_SOURCES          := $(RIG) $(LINES)
BOARD := $(RIG) $(VCPU) tests/unit/board_parts.c core/vm/window.c core/vm/ram.c \
	$(addprefix core/board/,board.c device.c lines.c plic.c vplic.c windows.c)
board_SOURCES          := $(BOARD)
turns_SOURCES          := $(BOARD)

UNIT_PROGRAMS := $(UNIT_TESTS:%=$B/test_%)

.PHONY: unit
unit: $(UNIT_PROGRAMS)

define UNIT_PROGRAM
$B/test_$(1): $B/tests/unit/test_$(1).o $$(addprefix $B/,$$($(1)_SOURCES:.c=.o))
	$(HOSTCC) $(UNIT_FLAGS) $$^ -lcmocka -lfdt -o $$@
-include $B/tests/unit/test_$(1).d $$(addprefix $B/,$$($(1)_SOURCES:.c=.d))
endef
$(foreach test,$(UNIT_TESTS),$(eval $(call UNIT_PROGRAM,$(test))))

$B/%.o: %.c tests/unit/unit.mk
	@mkdir -p $(@D)
	$(HOSTCC) $(UNIT_FLAGS) -MMD -MP -c $< -o $@

-include tests/unit/decode.mk
$B/tests/unit/test_decode.o: $B/decode_cases.h
