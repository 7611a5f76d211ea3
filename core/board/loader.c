/*
 * Guest images: Linux Image (Documentation/arch/riscv/boot-image-header.rst), ELF, flat binary.
 *
 * Kernel at the bottom of RAM, device tree at its top, initrd below the tree. Read again at every reset,
 * as a machine's firmware would.
 */
#include "board/loader.h"

#include <errno.h>
#include <string.h>

#include "board/tree.h"
#include "host/fwcfg.h"
#include "host/log.h"
#include "host/machine.h"
#include "memory/map.h"
#include "memory/shadow.h"
#include "riscv.h"
#include "vm.h"

#define FLAT_OFFSET 0x200000ul /* of the kernel in RAM: 2 MiB above OpenSBI, as QEMU loads it */
#define TREE_SIZE   0x10000ul
#define APPEND_SIZE 4096u
#define IMAGE_MAGIC 0x05435352u /* "RSC\x05" at offset 56 */
#define IMAGE_ALIGN 0x200000ul
#define ELF_MAGIC   0x464c457fu
#define ELF_RISCV   243u
#define PT_LOAD     1u

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
        return refuse(what, "does not fit the guest's RAM: give it more with MEM=");
    if (fwcfg_read(map_hpa(vm->host->fwcfg_hpa), file, 0, bytes, file->size) < 0)
        return refuse(what, "could not be read");
    return 0;
}

/* Segments from a copy of the file at its temporary place to where they belong. */
static int place_segments(struct vm *vm, const uint8_t *bytes, uint64_t size,
                          uint64_t temporary_gpa, uint64_t *entry)
{
    struct elf_header elf;
    memcpy(&elf, bytes, sizeof(elf));
    if (elf.bits != 2 || elf.machine != ELF_RISCV || elf.phentsize != sizeof(struct elf_segment) ||
        elf.phoff > size || elf.phnum > (size - elf.phoff) / sizeof(struct elf_segment))
        return refuse("kernel", "is an ELF file, but not a whole one for 64-bit RISC-V");
    uint64_t lowest_v = 0, lowest_p = UINT64_MAX;
    for (unsigned i = 0; i < elf.phnum; i++) {
        struct elf_segment segment;
        memcpy(&segment, bytes + elf.phoff + i * sizeof(segment), sizeof(segment));
        if (segment.type != PT_LOAD || segment.memsz == 0)
            continue;
        uint8_t *to = vm_ram(vm, segment.paddr, segment.memsz);
        if (segment.filesz > segment.memsz || segment.offset > size ||
            segment.filesz > size - segment.offset || !to ||
            segment.paddr + segment.memsz > temporary_gpa)
            return refuse("kernel", "is an ELF file whose segments lie outside the guest's RAM");
        memcpy(to, bytes + segment.offset, segment.filesz);
        memset(to + segment.filesz, 0, segment.memsz - segment.filesz);
        if (segment.paddr < lowest_p) {
            lowest_p = segment.paddr;
            lowest_v = segment.vaddr;
        }
    }
    if (lowest_p == UINT64_MAX)
        return refuse("kernel", "is an ELF file without anything to load");
    *entry = elf.entry - lowest_v + lowest_p; /* linked high, loaded low: vmlinux */
    return 0;
}

static int load_elf(struct vm *vm, const struct fwcfg_file *file, uint64_t limit, uint64_t *entry)
{
    uint64_t temporary = (limit - file->size) & ~PAGE_MASK;
    if (file->size > vm->ram.size / 2)
        return refuse("kernel", "does not fit the guest's RAM: give it more with MEM=");
    int status = read_to(vm, file, temporary, limit, "kernel");
    if (status < 0)
        return status;
    return place_segments(vm, vm_ram(vm, temporary, file->size), file->size, temporary, entry);
}

static int load_kernel(struct vm *vm, const struct fwcfg_file *file, uint64_t limit,
                       uint64_t *entry, uint64_t *end)
{
    struct image_header header = {0};
    uint32_t head = file->size < sizeof(header) ? file->size : sizeof(header);
    if (fwcfg_read(map_hpa(vm->host->fwcfg_hpa), file, 0, &header, head) < 0)
        return refuse("kernel", "could not be read");
    *end = vm->ram.gpa + vm->ram.size / 2;
    if (header.code[0] == ELF_MAGIC)
        return load_elf(vm, file, limit, entry);
    uint64_t offset = FLAT_OFFSET, size = file->size;
    if (header.magic2 == IMAGE_MAGIC) {
        offset = header.text_offset;
        size = header.image_size;
        if (offset % IMAGE_ALIGN || size < file->size)
            return refuse("kernel", "is a Linux Image with an absurd header");
    }
    *entry = vm->ram.gpa + offset;
    *end = *entry + size;
    if (size > vm->ram.size || *end > limit)
        return refuse("kernel", "does not fit the guest's RAM: give it more with MEM=");
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
    uint64_t kernel_end, limit = (vm->ram.gpa + vm->ram.size - TREE_SIZE) & ~(IMAGE_ALIGN - 1);
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
    int status = load_kernel(vm, &file, limit, &loaded->entry_gpa, &kernel_end);
    if (status == 0)
        status = read_append(vm, append);
    if (status < 0)
        return status;
    struct tree_config config = {
        .bootargs = append,
        .initrd_gpa = loaded->initrd_gpa,
        .initrd_size = loaded->initrd_size,
        .mmu_levels = vm->shadow->host_levels - 1,
    };
    status = tree_build(vm, vm->host, &config, vm_ram(vm, loaded->tree_gpa, TREE_SIZE), TREE_SIZE);
    return status < 0 ? status : 0;
}
