/*
 * What plugin.c uses of QEMU's interface for TCG plugins (QEMU's docs/devel/tcg-plugins.rst):
 * Debian has no package with QEMU's own header. The names and types are QEMU's.
 *
 * A plugin says which version of the interface it was made for, and a QEMU refuses one that it does
 * not have any more, or not yet. Debian's QEMU 10.0, on 12 by backports and on 13, takes 2 to 4.
 * From 3 on qemu_plugin_insn_data() copies, and a call can have a condition. QEMU 7.2 takes no more
 * than 1, so no plugin is for both.
 */
#ifndef BENCH_QEMU_PLUGIN_H
#define BENCH_QEMU_PLUGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QEMU_PLUGIN_VERSION 3
#define QEMU_PLUGIN_EXPORT  __attribute__((visibility("default")))

typedef uint64_t qemu_plugin_id_t;

struct qemu_plugin_tb;         /* a block that is being translated, */
struct qemu_plugin_insn;       /* and an instruction of it: valid until the callback returns */
struct qemu_plugin_scoreboard; /* so many bytes for each hart */

typedef struct {
    const char *target_name; /* "riscv64" */
    struct {
        int min, cur;
    } version;
    bool system_emulation;
    struct {
        int smp_vcpus, max_vcpus;
    } system;
} qemu_info_t;

/* A 64-bit number of each hart, which translated code can look at. */
typedef struct {
    struct qemu_plugin_scoreboard *score;
    size_t offset;
} qemu_plugin_u64;

enum qemu_plugin_cb_flags { QEMU_PLUGIN_CB_NO_REGS }; /* it reads no registers of the hart's */
enum qemu_plugin_cond { QEMU_PLUGIN_COND_EQ = 2 };

typedef void (*qemu_plugin_vcpu_tb_trans_cb_t)(qemu_plugin_id_t id, struct qemu_plugin_tb *tb);
typedef void (*qemu_plugin_vcpu_udata_cb_t)(unsigned hart, void *data);

/* What a plugin exports: install's result is 0, or it is not loaded. */
QEMU_PLUGIN_EXPORT extern int qemu_plugin_version;
QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc,
                                           char **argv);

/* Calls back for each block that is translated; this is where the others may be used. */
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id,
                                           qemu_plugin_vcpu_tb_trans_cb_t call);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *insn, void *to, size_t size);

/* Calls back before each execution of an instruction; the second one if the number meets the
 * condition. */
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
                                            qemu_plugin_vcpu_udata_cb_t call,
                                            enum qemu_plugin_cb_flags flags, void *data);
void qemu_plugin_register_vcpu_insn_exec_cond_cb(struct qemu_plugin_insn *insn,
                                                 qemu_plugin_vcpu_udata_cb_t call,
                                                 enum qemu_plugin_cb_flags flags,
                                                 enum qemu_plugin_cond condition,
                                                 qemu_plugin_u64 number, uint64_t with, void *data);

struct qemu_plugin_scoreboard *qemu_plugin_scoreboard_new(size_t size);
void qemu_plugin_u64_set(qemu_plugin_u64 number, unsigned hart, uint64_t value);

#endif
