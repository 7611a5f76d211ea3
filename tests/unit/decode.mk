# The decoder's test tables come from the cross assembler: one generated header.
# For tests/unit/unit.mk, which sets B (build folder) and compiles test_NAME.c with its source.
$(B)/decode_cases.h: tests/unit/decode_cases.py
	@mkdir -p $(@D)
	CROSS=$(CROSS) python3 $< $@
