/*
 * A plugin of QEMU's that counts executed instructions by address, between two hints of the guest's
 * (bench/workloads/hint.h). `make attribute` loads it:
 *
 *   qemu-system-riscv64 ... -plugin plugin.so,out=FILE
 *
 * FILE gets for each stretch a line `begin`; `ADDRESS COUNT` for each address, virtual and in
 * hexadecimal, at which something was executed; and `end TOTAL`, if the stretch comes to its end.
 *
 * The surprise: QEMU calls back before an instruction is executed. One that traps because of what
 * it is or accesses is counted here and not in QEMU's own count; carried out later, it is in both.
 */
#include "bench/attribute/qemu_plugin.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/workloads/hint.h"

#define BUCKETS 65536u /* a power of two; a boot of Linux executes some 400,000 addresses */

/* Translated code holds its address, so it stays where it is. */
struct counter {
    uint64_t address, count;
    struct counter *next; /* in its bucket */
};

static struct counter *bucket[BUCKETS];
static qemu_plugin_u64 counting; /* 1 between the hints */
static bool in_stretch;
static uint64_t total; /* of the stretch */
static FILE *out;

int qemu_plugin_version = QEMU_PLUGIN_VERSION;

static _Noreturn void fail(const char *what)
{
    perror(what);
    exit(1); /* QEMU's end; the run's reader says which stretch is missing */
}

static struct counter *counter_at(uint64_t address)
{
    struct counter **slot = &bucket[(address >> 1) % BUCKETS];

    while (*slot && (*slot)->address != address)
        slot = &(*slot)->next;
    if (!*slot) {
        *slot = calloc(1, sizeof **slot);
        if (!*slot)
            fail("attribute: calloc");
        (*slot)->address = address;
    }
    return *slot;
}

static void write_and_clear(struct counter *counter)
{
    if (counter->count == 0)
        return;
    fprintf(out, "%" PRIx64 " %" PRIu64 "\n", counter->address, counter->count);
    counter->count = 0;
}

/* --- What translated code calls --- */

static void on_instruction(unsigned hart, void *data)
{
    struct counter *counter = data;

    (void)hart;
    counter->count++;
    total++;
}

static void on_begin(unsigned hart, void *data)
{
    (void)data;
    fprintf(out, "begin\n");
    in_stretch = true;
    qemu_plugin_u64_set(counting, hart, 1);
}

static void on_end(unsigned hart, void *data)
{
    (void)data;
    qemu_plugin_u64_set(counting, hart, 0);
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct counter *counter = bucket[i]; counter; counter = counter->next)
            write_and_clear(counter);
    }
    if (in_stretch)
        fprintf(out, "end %" PRIu64 "\n", total);
    if (fflush(out) != 0)
        fail("attribute: the file of counts");
    in_stretch = false;
    total = 0;
}

/* --- Translation --- */

static void instrument(struct qemu_plugin_insn *insn)
{
    uint32_t word = 0;

    qemu_plugin_insn_data(insn, &word, sizeof word);
    if (word == HINT_WORD(HINT_BEGIN))
        qemu_plugin_register_vcpu_insn_exec_cb(insn, on_begin, QEMU_PLUGIN_CB_NO_REGS, NULL);
    else if (word == HINT_WORD(HINT_END))
        qemu_plugin_register_vcpu_insn_exec_cb(insn, on_end, QEMU_PLUGIN_CB_NO_REGS, NULL);
    else
        qemu_plugin_register_vcpu_insn_exec_cond_cb(insn, on_instruction, QEMU_PLUGIN_CB_NO_REGS,
                                                    QEMU_PLUGIN_COND_EQ, counting, 1,
                                                    counter_at(qemu_plugin_insn_vaddr(insn)));
}

static void on_block(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    (void)id;
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++)
        instrument(qemu_plugin_tb_get_insn(tb, i));
}

int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
    if (argc != 1 || strncmp(argv[0], "out=", 4) != 0) {
        fprintf(stderr, "attribute: use -plugin plugin.so,out=FILE\n");
        return 1;
    }
    if (strcmp(info->target_name, "riscv64") != 0 || info->system.max_vcpus != 1) {
        fprintf(stderr, "attribute: this counts on a riscv64 machine with one hart\n");
        return 1;
    }
    out = fopen(argv[0] + 4, "w");
    if (!out) {
        perror(argv[0] + 4);
        return 1;
    }
    counting.score = qemu_plugin_scoreboard_new(sizeof(uint64_t));
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_block);
    return 0;
}
