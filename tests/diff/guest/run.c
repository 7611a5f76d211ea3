/*
 * Runs a program and handles its traps.
 *
 * Every trap is logged. An exception's instruction is then skipped, unless the program has another
 * reaction for it; an interrupt's source is cleared. A program that strays out of its code goes on
 * at ra. The surprise: while handle_trap() runs, the program's page table is in force; this guest
 * is in all of them.
 */
#include "run.h"

#include <stddef.h>
#include <string.h>

#include "output.h"
#include "isa/riscv.h"

#define CODE_BYTES    (CODE_PAGES * PAGE_SIZE)
#define SYSTEM_PLAIN  0x00000073u /* opcode SYSTEM, funct3 0 */
#define SYSTEM_MASK   0x0000707fu
#define REACTIONS_MAX 256u
#define C_EBREAK      0x9002u
#define LUI_X0        0x37u
#define EBREAK        0x00100073u

_Static_assert(sizeof(struct frame) <= 1024, "entry.S, FRAME");
_Static_assert(offsetof(struct frame, busy) == 8 * 35, "entry.S, BUSY");
_Static_assert(offsetof(struct frame, kept) == 8 * (36 + 16 + 32), "entry.S, KEPT");

struct trap {
    uint64_t scause, sepc, stval, sstatus, registers;
};

enum ending { ENDED, TRAPS, STRAYED };

/* What a program leaves behind, memory apart. */
struct state {
    uint64_t x[32], csr[12], f[33];
    uint64_t ending, traps;
    struct trap trap[TRAPS_MAX];
};

static const char *const csr_names[12] = {"sstatus",    "sepc",    "scause", "stval",
                                          "sscratch",   "stvec",   "sie",    "sip",
                                          "scounteren", "senvcfg", "satp",   "stimecmp"};

static struct state state;
static struct reaction reactions[REACTIONS_MAX];
static uint64_t reaction_count, code, home, strays;

static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * 0x9e3779b97f4a7c15ul;
    return hash ^ hash >> 29;
}

static uint64_t hash_words(const uint64_t *words, uint64_t count)
{
    uint64_t hash = 0;
    for (uint64_t i = 0; i < count; i++)
        hash = mix(hash, words[i]);
    return hash;
}

/* --- Traps --- */

enum window { NOWHERE, SUPERVISOR, USER };

/* Where in the code an address is, in any of the windows that code is executed through. */
static enum window find_code(uint64_t address, uint64_t *offset)
{
    const uint64_t bases[] = {code, code | UPPER, USER_CODE};
    for (unsigned i = 0; i < 3; i++) {
        *offset = address - bases[i];
        if (*offset < CODE_BYTES)
            return i == 2 ? USER : SUPERVISOR;
    }
    return NOWHERE;
}

/* The code's bytes as data: by paging's window of all RAM, or with paging off as they are. */
static uint32_t instruction_at(uint64_t offset)
{
    uint64_t at = code + offset;
    if (csr_read(CSR_SATP) >> SATP_MODE_SHIFT)
        at += PHYSMAP - 0x80000000ul;
    const uint16_t *half = (const uint16_t *)at;
    return (half[0] & 3) == 3 && offset + 2 < CODE_BYTES ? half[0] | (uint32_t)half[1] << 16
                                                         : half[0];
}

static bool finish(enum ending ending)
{
    state.ending = ending;
    return false;
}

static void go_to(uint64_t pc, enum window window)
{
    frame.sepc = pc;
    frame.sstatus &= ~SSTATUS_SPP;
    if (window == SUPERVISOR)
        frame.sstatus |= SSTATUS_SPP;
}

/* Out of the code, or at a place that this mode may not execute. */
static bool stray(uint64_t sepc, enum window window)
{
    uint64_t offset;
    bool supervisor = frame.sstatus & SSTATUS_SPP;
    if (++strays > STRAYS_MAX)
        return finish(STRAYED);
    if (window == NOWHERE || supervisor == (window == SUPERVISOR)) {
        sepc = frame.x[1];
        window = find_code(sepc, &offset);
    }
    if (window == NOWHERE)
        return finish(STRAYED);
    go_to(sepc & ~1ul, window);
    return true;
}

static bool handle_exception(uint64_t scause, struct trap *trap)
{
    uint64_t offset;
    /* Of a page that is mapped twice QEMU may report the other address (docs/testing.md). */
    if (scause == CAUSE_BREAKPOINT && !((trap->stval ^ trap->sepc) & PAGE_MASK)) {
        trap->stval = trap->sepc;
        csr_write(CSR_STVAL, trap->sepc);
    }
    enum window window = find_code(trap->sepc, &offset);
    if (window == NOWHERE || scause == CAUSE_FETCH_PAGE || scause == CAUSE_FETCH_ACCESS)
        return stray(trap->sepc, window);
    for (uint64_t i = 0; i < reaction_count; i++) {
        if (reactions[i].offset != offset)
            continue;
        if (reactions[i].action == REACTION_END)
            return finish(ENDED);
        go_to(home + reactions[i].target, SUPERVISOR);
        return true;
    }
    uint32_t raw = instruction_at(offset);
    /* QEMU leaves the stval of an earlier trap for some of these: not compared. */
    if (scause == CAUSE_ILLEGAL && (raw & SYSTEM_MASK) == SYSTEM_PLAIN) {
        trap->stval = 0;
        csr_write(CSR_STVAL, 0);
    }
    frame.sepc += (raw & 3) == 3 ? 4 : 2;
    return true;
}

bool handle_trap(void)
{
    if (state.traps == TRAPS_MAX)
        return finish(TRAPS);
    struct trap *trap = &state.trap[state.traps++];
    uint64_t scause = csr_read(CSR_SCAUSE);
    frame.x[3] = 0;
    *trap = (struct trap){scause, frame.sepc, csr_read(CSR_STVAL), frame.sstatus,
                          mix(hash_words(frame.x, 32), hash_words(frame.slot, SLOT_WORDS))};
    if (scause == (SCAUSE_INTERRUPT | INTERRUPT_SOFTWARE)) {
        csr_clear(CSR_SIP, SIP_SSIP);
        return true;
    }
    if (scause == (SCAUSE_INTERRUPT | INTERRUPT_TIMER)) {
        csr_write(CSR_STIMECMP, UINT64_MAX);
        return true;
    }
    return handle_exception(scause, trap);
}

void handle_own_trap(void)
{
    csr_write(CSR_SATP, 0);
    sfence_vma_all();
    put_text("diff: the guest itself trapped");
    put_number(csr_read(CSR_SCAUSE));
    put_number(frame.sepc);
    put_number(csr_read(CSR_STVAL));
    put_end();
    power_off();
}

/* --- Before --- */

/* Words that may be executed: each is a `lui x0` of its own, or now and then an ebreak. */
static void fill_data(uint64_t seed)
{
    uint32_t *words = (uint32_t *)DATA;
    uint32_t value = (uint32_t)seed;
    for (uint64_t i = 0; i < DATA_PAGES * PAGE_SIZE / 4; i++) {
        value = value * 1664525u + 1013904223u;
        words[i] = i % 32 == 31 ? EBREAK : (value & 0xfffff000u) | LUI_X0;
    }
}

static const void *fill_tables(const struct program *program, const struct entry *entry)
{
    memset((void *)TABLES, 0, TABLE_COUNT * PAGE_SIZE);
    for (uint64_t i = 0; i < program->entries; i++, entry++) {
        uint64_t *table = (uint64_t *)(TABLES + (entry->table % TABLE_COUNT) * PAGE_SIZE);
        table[entry->index & 511] = entry->value;
    }
    return entry;
}

static void fill_code(const struct program *program, const uint8_t *at)
{
    uint16_t *halves = (uint16_t *)program->code;
    for (uint64_t i = 0; i < CODE_BYTES / 2; i++)
        halves[i] = C_EBREAK;
    for (uint64_t i = 0; i < program->chunks; i++) {
        const struct chunk *chunk = (const struct chunk *)at;
        memcpy((uint8_t *)program->code + chunk->offset, chunk + 1, chunk->bytes);
        at += sizeof(*chunk) + ((chunk->bytes + 7) & ~7ul);
    }
    riscv_fence_i();
}

static void fill_memory(const struct program *program)
{
    fill_data(program->fill);
    const struct reaction *from = fill_tables(program, (const struct entry *)(program + 1));
    reaction_count = program->reactions < REACTIONS_MAX ? program->reactions : REACTIONS_MAX;
    memcpy(reactions, from, reaction_count * sizeof(*from));
    fill_code(program, (const uint8_t *)(from + program->reactions));
}

static void fill_registers(const struct program *program)
{
    uint64_t f[33];
    for (uint64_t i = 0; i < 33; i++)
        f[i] = i < 32 ? mix(program->fill, i) : 0;
    csr_set(CSR_SSTATUS, SSTATUS_FS);
    float_load(f);
    memset(&frame, 0, offsetof(struct frame, kept));
    frame.busy = 1;
    memcpy(frame.x, program->x, sizeof(frame.x));
    memcpy(frame.pool, program->pool, sizeof(frame.pool));
    frame.exit = program->exit;
    frame.sstatus = program->sstatus;
    frame.sepc = program->pc;
}

static void write_csrs(const struct program *program)
{
    csr_write(CSR_SCAUSE, 0);
    csr_write(CSR_STVAL, 0);
    csr_write(CSR_SSCRATCH, program->sscratch);
    csr_write(CSR_STVEC, program->stvec);
    csr_write(CSR_SCOUNTEREN, program->scounteren);
    csr_write(CSR_SENVCFG, program->senvcfg);
    csr_write(CSR_STIMECMP, program->stimecmp);
    csr_write(CSR_SIP, program->sip);
    csr_write(CSR_SIE, program->sie);
    csr_write(CSR_SATP, program->satp);
    sfence_vma_all();
}

/* --- After --- */

static void read_csrs(void)
{
    const uint64_t values[12] = {frame.sstatus,
                                 frame.sepc,
                                 csr_read(CSR_SCAUSE),
                                 csr_read(CSR_STVAL),
                                 csr_read(CSR_SSCRATCH),
                                 csr_read(CSR_STVEC),
                                 csr_read(CSR_SIE),
                                 csr_read(CSR_SIP),
                                 csr_read(CSR_SCOUNTEREN),
                                 csr_read(CSR_SENVCFG),
                                 csr_read(CSR_SATP),
                                 csr_read(CSR_STIMECMP)};
    memcpy(state.csr, values, sizeof(values));
}

static void calm(void)
{
    csr_write(CSR_STVEC, (uint64_t)vector);
    csr_write(CSR_SATP, 0);
    sfence_vma_all();
    csr_write(CSR_SIE, 0);
    csr_write(CSR_SIP, 0);
    csr_write(CSR_STIMECMP, UINT64_MAX);
    csr_write(CSR_SCOUNTEREN, 7);
    csr_write(CSR_SENVCFG, 0);
    csr_write(CSR_SSTATUS, SSTATUS_FS);
}

void run_program(const struct program *program)
{
    memset(&state, 0, sizeof(state));
    strays = 0;
    code = program->code;
    home = program->home;
    fill_memory(program);
    fill_registers(program);
    write_csrs(program);
    enter_program();
    read_csrs();
    calm();
    float_save(state.f);
    memcpy(state.x, frame.x, sizeof(state.x));
    frame.busy = 1; /* from here a trap is this guest's own */
}

static void report_pages(const char *name, uint64_t base, uint64_t count)
{
    put_text(name);
    for (uint64_t i = 0; i < count; i++)
        put_number(hash_words((const uint64_t *)(base + i * PAGE_SIZE), PAGE_SIZE / 8));
    put_end();
}

static void report_tables(void)
{
    const uint64_t *words = (const uint64_t *)TABLES;
    for (uint64_t i = 0; i < TABLE_COUNT * PAGE_SIZE / 8; i++) {
        if (words[i]) {
            put_text("entry");
            put_number(i >> 9);
            put_number(i & 511);
            put_number(words[i]);
            put_end();
        }
    }
}

static void report_all(const struct program *program)
{
    static const char *const endings[] = {"ended", "too many traps", "strayed"};
    put_text("begin");
    put_end();
    for (uint64_t i = 0; i < state.traps; i++) {
        const struct trap *trap = &state.trap[i];
        put_text("trap");
        put_number(trap->scause);
        put_number(trap->sepc);
        put_number(trap->stval);
        put_number(trap->sstatus);
        put_number(trap->registers);
        put_end();
    }
    put_text(endings[state.ending]);
    put_end();
    for (unsigned i = 1; i < 32; i++) {
        put_text("x");
        put_number(i);
        put_number(state.x[i]);
        put_end();
    }
    for (unsigned i = 0; i < 33; i++) {
        put_text(i < 32 ? "f" : "fcsr");
        put_number(i);
        put_number(state.f[i]);
        put_end();
    }
    for (unsigned i = 0; i < 12; i++) {
        put_text(csr_names[i]);
        put_number(state.csr[i]);
        put_end();
    }
    report_pages("code", program->code, CODE_PAGES);
    report_pages("data", DATA, DATA_PAGES);
    report_tables();
}

void run_report(const struct program *program, uint64_t number)
{
    if (program->verbose)
        report_all(program);
    uint64_t hash = hash_words((const uint64_t *)&state, sizeof(state) / 8);
    hash = mix(hash, hash_words((const uint64_t *)program->code, CODE_BYTES / 8));
    hash = mix(hash, hash_words((const uint64_t *)DATA, DATA_PAGES * PAGE_SIZE / 8));
    hash = mix(hash, hash_words((const uint64_t *)TABLES, TABLE_COUNT * PAGE_SIZE / 8));
    put_text("program");
    put_number(number);
    put_number(hash);
    put_number(state.traps);
    put_number(state.ending);
    put_end();
}
