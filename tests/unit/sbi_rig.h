/*
 * The guest's SBI (core/board/sbi*.c) with what it calls replaced: a firmware whose answer the test
 * sets, a UART that takes as many bytes as the test says, and fences and waits that are counted.
 */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "board/board.h"
#include "board/devices.h"
#include "board/sbi.h"
#include "board/sbi_internal.h"
#include "device.h"
#include "host/firmware.h"
#include "host/machine.h"
#include "isa/riscv.h"
#include "vm/emulate.h"
#include "vm/engine.h"
#include "vm/run.h"
#include "vm/timer.h"
#include "vm/vm.h"

#define RAM      0x80200000ul
#define RAM_SIZE 8192u
#define PC       0x80200104ul /* behind the ecall */

#define DBCN 0x4442434eul

extern struct vcpu *const vcpu;
extern uint8_t ram[RAM_SIZE];

/* The console: what came out; what the UART still takes; what was typed, up to typed_at read. */
extern char out[16384];
extern uint8_t typed[64];
extern size_t out_len, room, typed_len, typed_at;

extern long firmware_says;  /* to an IPI for nobody, of harts that there are or not */
extern uint64_t mask_cause; /* of the fault when a legacy call's mask is read; 0: none */
extern unsigned fences, waits, raises, resumes; /* so often, each */

/* The guest's UART: the machine's own, or one behind which is the host's end. */
extern const struct strategy given, queues;
void use(const struct strategy *strategy);

/* All anew, with the machine's own UART. */
int setup(void **state);

/* The arguments of a call; the guest's kernel makes one. */
void with(uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3);
void ecall(uint64_t eid, uint64_t fid);
