# Which instructions one operation is made of, by a plugin of QEMU's. Included by
# bench/workloads/workloads.mk.
#   make attribute OP='null_syscall ...' [DEVICE=...] [PATCH=...]     writes build/attribute.json
.PHONY: attribute attribute-check
$(BUILD)/attribute/plugin.so: $(addprefix bench/,attribute/plugin.c attribute/qemu_plugin.h \
		workloads/hint.h) | $(BUILD)/.setup-attribute
	@mkdir -p $(@D)
	$(HOSTCC) -std=c11 -O2 -fPIC -shared -fvisibility=hidden -Wall -Wextra -Wshadow \
		-Wmissing-prototypes -Werror -I. -o $@ $<

# An operation that is not known is refused before anything is installed or built.
attribute-check:
	@! command -v python3 > /dev/null || OP=$(call quote,$(OP)) bench/attribute/run --check

attribute: attribute-check | $(BUILD)/.setup-workload
	@$(MAKE) --no-print-directory -s W=nano workload-files $(BUILD)/attribute/plugin.so
	@OP=$(call quote,$(OP)) bench/attribute/run $(call quote,$(DEVICE))
