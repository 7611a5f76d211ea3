/*
 * The guest of `make diff`: takes a batch of programs from the initrd, runs each, and prints for
 * each a hash of all that it left behind.
 */
#include <libfdt.h>

#include "output.h"
#include "run.h"

_Noreturn void main(const void *dtb);

static uint64_t read_address(const void *dtb, int node, const char *name)
{
    int length;
    const fdt32_t *cell = fdt_getprop(dtb, node, name, &length);
    if (!cell)
        return 0;
    return length == 8 ? (uint64_t)fdt32_to_cpu(cell[0]) << 32 | fdt32_to_cpu(cell[1])
                       : fdt32_to_cpu(cell[0]);
}

void main(const void *dtb)
{
    int chosen = fdt_path_offset(dtb, "/chosen");
    const uint64_t *batch = (const uint64_t *)read_address(dtb, chosen, "linux,initrd-start");
    if (!batch || batch[0] != BATCH_MAGIC) {
        put_text("diff: no batch in the initrd");
        put_end();
        power_off();
    }
    const uint8_t *at = (const uint8_t *)(batch + 2);
    for (uint64_t i = 0; i < batch[1]; i++) {
        const struct program *program = (const struct program *)at;
        run_program(program);
        run_report(program, i);
        at += program->bytes;
    }
    put_text("diff: done");
    put_end();
    power_off();
}
