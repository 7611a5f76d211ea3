/*
 * Instructions and programs that checks make at run time.
 */
#pragma once
#include "code.h"
#include "model.h"

enum csr_op { CSRRW = 1, CSRRS, CSRRC, CSRRWI = 5, CSRRSI, CSRRCI };

#define MAKE_CSR(op, rd, csr, rs)                                                                \
    ((uint32_t)(csr) << 20 | (uint32_t)(rs) << 15 | (uint32_t)(op) << 12 | (uint32_t)(rd) << 7 | \
     0x73)
#define MAKE_IMM(funct3, rd, rs, value)                                                    \
    ((0xfff & (uint32_t)(value)) << 20 | (uint32_t)(rs) << 15 | (uint32_t)(funct3) << 12 | \
     (uint32_t)(rd) << 7 | 0x13)
/* div x0, x0, x0 does nothing, and stops a VMM that runs ahead: what is behind it is executed by
 * the hart. Without it, the sret that enters a program may be the last instruction that the hart
 * itself executes: the VMM may carry out the whole program. */
#define MAKE_STOP                0x02004033u
#define MAKE_ADDI(rd, rs, value) MAKE_IMM(0, rd, rs, value)
#define MAKE_ANDI(rd, rs, value) MAKE_IMM(7, rd, rs, value)
#define MAKE_ADD(rd, rs1, rs2) \
    ((uint32_t)(rs2) << 20 | (uint32_t)(rs1) << 15 | (uint32_t)(rd) << 7 | 0x33)
#define MAKE_XOR(rd, rs1, rs2) (MAKE_ADD(rd, rs1, rs2) | 4u << 12)
#define MAKE_LUI(rd, value)    ((uint32_t)(value) << 12 | (uint32_t)(rd) << 7 | 0x37)
#define MAKE_AUIPC(rd, value)  ((uint32_t)(value) << 12 | (uint32_t)(rd) << 7 | 0x17)
#define MAKE_JALR(rd, rs, at) \
    ((0xfff & (uint32_t)(at)) << 20 | (uint32_t)(rs) << 15 | (uint32_t)(rd) << 7 | 0x67)
#define MAKE_LD(rd, rs, at) \
    ((0xfff & (uint32_t)(at)) << 20 | (uint32_t)(rs) << 15 | 3u << 12 | (uint32_t)(rd) << 7 | 0x03)
#define MAKE_SD(rs2, rs1, at)                                                                    \
    ((0xfe0 & (uint32_t)(at)) << 20 | (uint32_t)(rs2) << 20 | (uint32_t)(rs1) << 15 | 3u << 12 | \
     (31 & (uint32_t)(at)) << 7 | 0x23)
#define MAKE_JAL(rd, words) \
    ((0x7fe & 4 * (uint32_t)(words)) << 20 | (uint32_t)(rd) << 7 | 0x6f) /* 0..511 words ahead */
#define MAKE_BRANCH(funct3, rs1, rs2, words)                                       \
    ((uint32_t)(rs2) << 20 | (uint32_t)(rs1) << 15 | (uint32_t)(funct3) << 12 |    \
     (0x1e & 4 * (uint32_t)(words)) << 7 | (0x7e0 & 4 * (uint32_t)(words)) << 20 | \
     ((words) < 0 ? 0x80000080u : 0) | 0x63) /* -256..255 words */
#define BEQ                 0u
#define BNE                 1u
#define MAKE_FMV_D_X(f, rs) (0xf2000053u | (uint32_t)(rs) << 15 | (uint32_t)(f) << 7)
#define MAKE_FMV_X_D(rd, f) (0xe2000053u | (uint32_t)(f) << 15 | (uint32_t)(rd) << 7)

#define MAKE_C_LI(rd, value)                                             \
    (0x00014001u | (uint32_t)(rd) << 7 | (31 & (uint32_t)(value)) << 2 | \
     ((uint32_t)(value) >> 5 & 1) << 12)
#define MAKE_C_MV(rd, rs) (0x00018002u | (uint32_t)(rd) << 7 | (uint32_t)(rs) << 2)

/* A new program, `words` long at most, in pages where nothing has been executed yet: a VMM may
 * give up on a page that is written again and again. The first function forgets the programs of
 * earlier checks, which all have been run by then. */
struct program make_program(unsigned words);
/* A new program that begins at that byte of pages of its own. */
struct program make_program_at(unsigned words, unsigned first);
/* Forgets all programs; called once when the selftest begins. */
void make_reset(void);

void make_add(struct program *program, uint32_t instruction);
/* Puts another instruction in the place of one. */
void make_set(struct program *program, unsigned index, uint32_t instruction);

/* Makes the code visible to fetches, runs each program in an Sv39 space, `times` over, because a
 * VMM may treat an instruction in another way once it has seen it; then every fourth with paging
 * off. */
void make_check_all(struct program *programs, const struct start *starts, unsigned count,
                    unsigned times);

/* A list of programs with their starts, for checks that make many. */
#define MAKE_MANY 2200u
struct make_list {
    struct program program[MAKE_MANY];
    struct start start[MAKE_MANY];
    unsigned count;
};
extern struct make_list make_list;
struct program *make_another(unsigned words);

/* Numbers without a pattern, the same in every run. */
uint32_t make_random(uint64_t *state);
