/*
 * Guest images: Linux Image (Documentation/arch/riscv/boot-image-header.rst), ELF, flat binary.
 *
 * Kernel at the bottom of RAM, device tree at its top, initrd below the tree. Read again at every
 * reset, as a machine's firmware would.
 */
#include "board/loader.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "board/tree.h"
#include "host/fwcfg.h"
#include "host/log.h"
#include "host/machine.h"
#include "host/map.h"
#include "isa/riscv.h"
#include "vm/vm.h"

#define IMAGE_OFFSET 0x200000ul /* of a kernel in RAM that is no ELF: where QEMU loads it */
#define TREE_SIZE    0x10000ul
#define TREE_ALIGN   0x200000ul
#define APPEND_SIZE  4096u
#define IMAGE_MAGIC  0x05435352u /* "RSC\x05" at offset 56 */
#define ELF_MAGIC    0x464c457fu
#define ELF_RISCV    243u
#define PT_LOAD      1u
#define NO_ROOM      "does not fit the guest's RAM: give it more with MEM="

struct image_header {
    uint32_t code[2];
    uint64_t text_offset, image_size, flags;
    uint32_t version, reserved1;
    uint64_t reserved2, magic;
    uint32_t magic2, reserved3;
};

struct elf_header {
    uint32_t magic;
    uint8_t bits, order, rest[10];
    uint16_t type, machine;
    uint32_t version;
    uint64_t entry, phoff, shoff;
    uint32_t flags;
    uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct elf_segment {
    uint32_t type, flags;
    uint64_t offset, vaddr, paddr, filesz, memsz, align;
};

static int refuse(const char *what, const char *why)
{
    host_log("the guest's %s %s", what, why);
    return -EINVAL;
}

/* Reads a whole file to gpa; -EINVAL when it does not fit below limit. */
static int read_to(struct vm *vm, const struct fwcfg_file *file, uint64_t gpa, uint64_t limit,
                   const char *what)
{
    uint8_t *bytes = vm_ram(vm, gpa, file->size);
    if (!bytes || gpa + file->size > limit)
        return refuse(what, NO_ROOM);
    if (fwcfg_read(map_hpa(vm->host->fwcfg_hpa), file, 0, bytes, file->size) < 0)
        return refuse(what, "could not be read");
    return 0;
}

/* One segment to where it belongs, below limit. */
static int load_segment(struct vm *vm, const struct fwcfg_file *file,
                        const struct elf_segment *segment, uint64_t limit)
{
    if (segment->paddr >= vm->ram.gpa && segment->paddr < vm->ram.first)
        return refuse("kernel", "is linked where the firmware is: it starts in machine mode, and "
                                "a guest in machine mode is not supported");
    uint8_t *to = vm_ram(vm, segment->paddr, segment->memsz);
    if (segment->filesz > segment->memsz || segment->offset > file->size ||
        segment->filesz > file->size - segment->offset || !to)
        return refuse("kernel", "is an ELF file whose segments lie outside the guest's RAM");
    if (segment->paddr + segment->memsz > limit)
        return refuse("kernel", NO_ROOM);
    if (fwcfg_read(map_hpa(vm->host->fwcfg_hpa), file, (uint32_t)segment->offset, to,
                   (uint32_t)segment->filesz) < 0)
        return refuse("kernel", "could not be read");
    memset(to + segment->filesz, 0, segment->memsz - segment->filesz);
    return 0;
}

/* The entry point is a virtual address: a kernel may be linked high and loaded low (vmlinux). */
static int load_elf(struct vm *vm, const struct fwcfg_file *file, uint64_t limit, uint64_t *entry)
{
    void *fwcfg = map_hpa(vm->host->fwcfg_hpa);
    struct elf_header elf;
    bool found = false;
    if (fwcfg_read(fwcfg, file, 0, &elf, sizeof(elf)) < 0 || elf.bits != 2 ||
        elf.machine != ELF_RISCV || elf.phentsize != sizeof(struct elf_segment) ||
        elf.phoff > file->size || elf.phnum > (file->size - elf.phoff) / sizeof(struct elf_segment))
        return refuse("kernel", "is an ELF file, but not a whole one for 64-bit RISC-V");
    for (unsigned i = 0; i < elf.phnum; i++) {
        struct elf_segment segment;
        if (fwcfg_read(fwcfg, file, (uint32_t)(elf.phoff + i * sizeof(segment)), &segment,
                       sizeof(segment)) < 0)
            return refuse("kernel", "could not be read");
        if (segment.type != PT_LOAD || segment.memsz == 0)
            continue;
        int status = load_segment(vm, file, &segment, limit);
        if (status < 0)
            return status;
        if (elf.entry - segment.vaddr < segment.memsz) {
            *entry = elf.entry - segment.vaddr + segment.paddr;
            found = true;
        }
    }
    return found ? 0 : refuse("kernel", "is an ELF file without code at its entry point");
}

/* A file that is no ELF goes to one place, whole, whatever a header says of text_offset: that is
 * QEMU's rule (hw/riscv/boot.c; scripts/runner/image.py has the same). image_size says what the
 * kernel takes besides. */
static int load_kernel(struct vm *vm, const struct fwcfg_file *file, uint64_t limit,
                       uint64_t *entry)
{
    struct image_header header = {0};
    uint32_t head = file->size < sizeof(header) ? file->size : sizeof(header);
    if (fwcfg_read(map_hpa(vm->host->fwcfg_hpa), file, 0, &header, head) < 0)
        return refuse("kernel", "could not be read");
    if (header.code[0] == ELF_MAGIC)
        return load_elf(vm, file, limit, entry);
    uint64_t size = file->size;
    if (header.magic2 == IMAGE_MAGIC && header.image_size > size)
        size = header.image_size;
    *entry = vm->ram.gpa + IMAGE_OFFSET;
    if (limit < *entry || size > limit - *entry)
        return refuse("kernel", NO_ROOM);
    return read_to(vm, file, *entry, limit, "kernel");
}

static int read_append(struct vm *vm, char *append)
{
    void *fwcfg = map_hpa(vm->host->fwcfg_hpa);
    struct fwcfg_file file;
    append[0] = '\0';
    if (fwcfg_find(fwcfg, "opt/org.trident/append", &file) < 0)
        return 0;
    if (file.size >= APPEND_SIZE)
        return refuse("bootargs (APPEND= and RUN=)", "are longer than 4095 bytes");
    if (fwcfg_read(fwcfg, &file, 0, append, file.size) < 0)
        return refuse("bootargs", "could not be read");
    append[file.size] = '\0';
    return 0;
}

int loader_load(struct vm *vm, struct loaded *loaded)
{
    static char append[APPEND_SIZE];
    void *fwcfg = map_hpa(vm->host->fwcfg_hpa);
    struct fwcfg_file file;
    uint64_t limit = (vm->ram.gpa + vm->ram.size - TREE_SIZE) & ~(TREE_ALIGN - 1);
    *loaded = (struct loaded){.tree_gpa = limit};

    if (fwcfg_find(fwcfg, "opt/org.trident/initrd", &file) == 0 && file.size) {
        loaded->initrd_size = file.size;
        loaded->initrd_gpa = (limit - file.size) & ~PAGE_MASK;
        if (file.size > vm->ram.size || read_to(vm, &file, loaded->initrd_gpa, limit, "initrd") < 0)
            return -EINVAL;
        limit = loaded->initrd_gpa;
    }
    if (fwcfg_find(fwcfg, "opt/org.trident/kernel", &file) < 0 || file.size == 0)
        return refuse("kernel", "is missing: QEMU gives it as opt/org.trident/kernel");
    int status = load_kernel(vm, &file, limit, &loaded->entry_gpa);
    if (status == 0)
        status = read_append(vm, append);
    if (status < 0)
        return status;
    struct tree_config config = {
        .bootargs = append,
        .initrd_gpa = loaded->initrd_gpa,
        .initrd_size = loaded->initrd_size,
        .mmu_levels = vm->mmu_levels,
    };
    status = tree_build(vm, vm->host, &config, vm_ram(vm, loaded->tree_gpa, TREE_SIZE), TREE_SIZE);
    return status < 0 ? status : 0;
}
