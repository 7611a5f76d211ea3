/*
 * Programs that checks make at run time (make.h): where they are kept.
 *
 * The surprise: all programs are made first and run afterwards, because a store to a page that has
 * been executed may change how a VMM treats it.
 */
#include <string.h>

#include "kernel.h"
#include "make.h"

#define POOL_WORDS (1024u * 1024)
#define PAGE_WORDS (PAGE_SIZE / 4)

static uint32_t *pool; /* the kernel's pages, taken at the first selftest and kept */
static unsigned used;

void make_reset(void)
{
    used = 0;
    if (!pool)
        pool = page_alloc(POOL_WORDS / PAGE_WORDS);
}

struct program make_program(unsigned words)
{
    if (!expect("room for programs", pool && used + words <= POOL_WORDS, 1))
        used = 0;
    struct program program = {.code = (char *)&pool[used]};
    used += words;
    return program;
}

struct program make_program_at(unsigned words, unsigned first)
{
    used = (used + PAGE_WORDS - 1) / PAGE_WORDS * PAGE_WORDS;
    struct program page = make_program((first / 4 + words + PAGE_WORDS) / PAGE_WORDS * PAGE_WORDS);
    page.code += first;
    return page;
}

/* The model knows one f register, f1, and knows that it is zero. */
static void clear_f1(void)
{
    uint64_t sstatus = csr_read(CSR_SSTATUS);
    csr_set(CSR_SSTATUS, SSTATUS_FS);
    __asm__ volatile(".option push\n.option arch, +d\nfmv.d.x f1, x0\n.option pop");
    csr_write(CSR_SSTATUS, sstatus);
}

void make_check_all(struct program *programs, const struct start *starts, unsigned count,
                    unsigned times)
{
    uint64_t satp = space_satp(space_reset(), 0);
    clear_f1();
    code_fence_i();
    harness_stay(satp);
    for (unsigned i = 0; i < count * times; i++) {
        programs[i % count].satp = satp;
        if (!model_check(&programs[i % count], &starts[i % count], i % count))
            return;
    }
    harness_stay(0);
    for (unsigned i = 0; i < count; i += 4) {
        programs[i].satp = 0;
        if (!model_check(&programs[i], &starts[i], i))
            return;
    }
}

struct make_list make_list;

struct program *make_another(unsigned words)
{
    if (!expect("room for another", make_list.count < MAKE_MANY, 1))
        make_list.count = 0;
    make_list.program[make_list.count] = make_program(words);
    return &make_list.program[make_list.count++];
}

void make_set(struct program *program, unsigned index, uint32_t instruction)
{
    memcpy(program->code + 4ul * index, &instruction, sizeof(instruction));
}

void make_add(struct program *program, uint32_t instruction)
{
    make_set(program, program->length++, instruction);
}

uint32_t make_random(uint64_t *state)
{
    *state = *state * 6364136223846793005ul + 1442695040888963407ul;
    return (uint32_t)(*state >> 33);
}
