/*
 * `hostile`: does what a guest must not do, and prints what came of it. The machine (or the VMM)
 * has to answer as the specification says and stay up; the kernel then says that it is still alive.
 */
#include "kernel.h"
#include "programs.h"
#include "isa/riscv.h"

static uint64_t random_state;

/* The seed is fixed, so that a run can be repeated. */
static uint32_t random_next(void)
{
    random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(random_state >> 32);
}

/* --- jump --- */

static void jump_to(uint64_t target)
{
    ((void (*)(void))target)();
}

__attribute__((naked, noinline)) static void zero_word(void)
{
    __asm__(".word 0");
}

__attribute__((naked, noinline)) static void all_ones(void)
{
    __asm__(".word 0xffffffff");
}

__attribute__((naked, noinline)) static void machine_return(void)
{
    __asm__("mret");
}

static int hostile_jump(void)
{
    static uint64_t data_page[512] __attribute__((aligned(4096)));
    const struct {
        const char *name;
        uint64_t target;
    } row[] = {
        {"to 0", 0},
        {"to an unmapped page", 0x40000000},
        {"to a non-canonical address", 0x8000000000000000ull},
        {"to the last instruction", 0xfffffffffffffffeull},
        {"to a device", board.plic.base},
        {"to data", (uint64_t)data_page},
        {"to a zero word", (uint64_t)zero_word},
        {"to a word of ones", (uint64_t)all_ones},
        {"to mret", (uint64_t)machine_return},
    };
    unsigned survived = 0;
    for (unsigned i = 0; i < sizeof(row) / sizeof(*row); i++) {
        struct trap_frame seen;
        if (trap_try(jump_to, row[i].target, &seen)) {
            printf("jump %s: returned\n", row[i].name);
            continue;
        }
        printf("jump %s: %s, sepc %#lx\n", row[i].name, trap_name(seen.scause), seen.sepc);
        survived += seen.sepc == row[i].target;
    }
    return survived == sizeof(row) / sizeof(*row) ? 0 : 1;
}

/* --- satp --- */

static void load_from(uint64_t address)
{
    (void)*(volatile uint64_t *)address;
}

/* Puts pte into a root that is else the kernel's, and loads through that entry. True: the load
 * succeeded. */
static int try_entry(const char *name, uint64_t *root, uint64_t pte)
{
    const uint64_t probe = 0x3000000000ull; /* index 192 of the root */
    struct trap_frame seen;
    root[probe >> 30 & 511] = pte;
    sfence_vma_all();
    bool returned = trap_try(load_from, probe, &seen);
    printf("satp %s: %s\n", name, returned ? "the load succeeded" : trap_name(seen.scause));
    return returned;
}

static int hostile_satp(void)
{
    int failures = 0;
    uint64_t kernel = page_kernel_satp();
    for (uint64_t mode = 1; mode < 16; mode++) {
        if (mode >= SATP_MODE_SV39 && mode <= SATP_MODE_SV57)
            continue;
        csr_write(CSR_SATP, mode << SATP_MODE_SHIFT | SATP_PPN_MASK);
        if (csr_read(CSR_SATP) != kernel) {
            csr_write(CSR_SATP, kernel);
            printf("satp mode %lu: was taken\n", mode);
            failures++;
        }
    }
    printf("satp reserved modes: %s\n", failures ? "some were taken" : "all ignored");
    uint64_t *root = page_alloc(1);
    if (!root) {
        printf("There is no memory for a page table.\n");
        return 1;
    }
    memcpy(root, (void *)((kernel & SATP_PPN_MASK) << PAGE_SHIFT), PAGE_SIZE);
    csr_write(CSR_SATP, (kernel & ~SATP_PPN_MASK) | (uint64_t)root >> PAGE_SHIFT);
    failures += try_entry("table beyond RAM", root, SATP_PPN_MASK << PTE_PPN_SHIFT | PTE_V);
    failures += try_entry("page beyond RAM", root,
                          0xfffffc0000ull << PTE_PPN_SHIFT | PTE_V | PTE_R | PTE_A);
    failures += try_entry("table in a device", root,
                          board.plic.base >> PAGE_SHIFT << PTE_PPN_SHIFT | PTE_V);
    failures += try_entry("misaligned superpage", root,
                          (board.ram_base + PAGE_SIZE) >> PAGE_SHIFT << PTE_PPN_SHIFT | PTE_V |
                              PTE_R | PTE_A);
    failures += try_entry("write without read", root, PTE_V | PTE_W | PTE_A | PTE_D);
    failures += try_entry("reserved bits", root, 1ull << 54 | PTE_V | PTE_R | PTE_A);
    failures += try_entry("not valid", root, 0xfeull);
    csr_write(CSR_SATP, kernel);
    sfence_vma_all();
    page_free(root, 1);
    return failures ? 1 : 0;
}

/* --- sbi --- */

static const struct {
    const char *name;
    uint64_t extension, function, a0, a1;
    bool empty; /* the mask names no hart, in which OpenSBI 1.6 finds no error */
} bad_call[] = {
    {"extension 0x0badf00d", 0x0badf00d, 0, 0, 0, false},
    {"extension -1", UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, false},
    {"extension 0xffffffff", 0xffffffff, 0, 0, 0, false},
    {"legacy 0x0f", 0x0f, 0, 0, 0, false},
    {"BASE function 99", SBI_EXT_BASE, 99, 0, 0, false},
    {"TIME function 7", SBI_EXT_TIME, 7, 0, 0, false},
    {"IPI function 3", 0x735049, 3, 0, 0, false},
    {"IPI hart mask base 4096", 0x735049, 0, 1, 4096, true},
    {"RFENCE function 99", 0x52464e43, 99, 0, 0, false},
    {"HSM start of this hart", 0x48534d, 0, 0, 0x80200000, false},
    {"HSM status of hart 4096", 0x48534d, 2, 4096, 0, false},
    {"HSM function 99", 0x48534d, 99, 0, 0, false},
    {"SRST type 0xdead", SBI_EXT_SRST, 0, 0xdead, 0, false},
    {"SRST function 9", SBI_EXT_SRST, 9, 0, 0, false},
};

static int hostile_sbi(void)
{
    int accepted = 0;
    for (unsigned i = 0; i < sizeof(bad_call) / sizeof(*bad_call); i++) {
        struct sbi_result result = sbi_call(bad_call[i].extension, bad_call[i].function,
                                            bad_call[i].a0, bad_call[i].a1, 0);
        printf("sbi %s: error %ld\n", bad_call[i].name, result.error);
        accepted += result.error > 0 || (result.error == 0 && !bad_call[i].empty);
    }
    return accepted ? 1 : 0;
}

/* --- mmio --- */

#define ROUNDS 4u

struct access {
    uint64_t address, value;
    unsigned width;
    bool store;
};

static struct access current;

static void do_access(uint64_t unused)
{
    (void)unused;
    volatile void *at = (volatile void *)current.address;
    switch (current.width) {
    case 1:
        current.store ? (void)(*(volatile uint8_t *)at = (uint8_t)current.value)
                      : (void)*(volatile uint8_t *)at;
        break;
    case 2:
        current.store ? (void)(*(volatile uint16_t *)at = (uint16_t)current.value)
                      : (void)*(volatile uint16_t *)at;
        break;
    case 4:
        current.store ? (void)(*(volatile uint32_t *)at = (uint32_t)current.value)
                      : (void)*(volatile uint32_t *)at;
        break;
    default:
        current.store ? (void)(*(volatile uint64_t *)at = current.value)
                      : (void)*(volatile uint64_t *)at;
        break;
    }
}

/* A range of a device's registers. Registers that hold addresses in the guest's memory only get
 * values outside RAM, and the UART stays in loopback, so that only the device itself can come to
 * harm. */
struct victim {
    const char *name;
    const struct board_device *device;
    uint64_t from, to; /* offsets of the range */
    unsigned width;    /* of a register, in bytes */
    uint64_t force_from, force_to;
    uint32_t force; /* bits set in every value written to [force_from, force_to) */
};

/* Stores random values to the registers and loads from them; how many accesses faulted. */
static unsigned attack(const struct victim *victim)
{
    static const unsigned widths[] = {1, 2, 4, 8};
    unsigned faults = 0;
    struct trap_frame seen;
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (uint64_t offset = victim->from; offset < victim->to; offset += victim->width) {
            uint64_t value = random_next();
            if (offset >= victim->force_from && offset < victim->force_to)
                value |= victim->force;
            /* The last round is loads alone, of widths that the register may not have. */
            unsigned width = round + 1 < ROUNDS ? victim->width : widths[random_next() % 4];
            if (round + 1 < ROUNDS) {
                current = (struct access){victim->device->base + offset, value, width, true};
                faults += !trap_try(do_access, 0, &seen);
            }
            current = (struct access){(victim->device->base + offset) & -(uint64_t)width, 0, width,
                                      false};
            faults += !trap_try(do_access, 0, &seen);
        }
    }
    return faults;
}

static unsigned list_victims(struct victim *list)
{
    unsigned count = 0;
    uint64_t enable = 0x2000 + 0x80ul * board.plic_context;
    uint64_t threshold = 0x200000 + 0x1000ul * board.plic_context;
    list[count++] = (struct victim){"plic priorities", &board.plic, 0, 0x200, 4, 0, 0, 0};
    list[count++] = (struct victim){"plic pending", &board.plic, 0x1000, 0x1020, 4, 0, 0, 0};
    list[count++] = (struct victim){"plic enables", &board.plic, enable, enable + 0x20, 4, 0, 0, 0};
    list[count++] = (struct victim){
        "plic context", &board.plic, threshold, threshold + 8, 4, 0, 0, 0};
    if (board.uart.base)
        list[count++] = (struct victim){"uart", &board.uart, 0, 8, 1, 4, 5, 0x10};
    for (unsigned i = 0; i < board.virtios; i++)
        list[count++] = (struct victim){"virtio", &board.virtio[i], 0, 0x200, 4, 0x80,
                                        0xb0,     0xc0000000u};
    if (board.ahci.base)
        list[count++] = (struct victim){"ahci", &board.ahci, 0,     0x180,
                                        4,      0x100,       0x110, 0xc0000000u};
    if (board.ata.base)
        list[count++] = (struct victim){
            "ata", &board.ata, 0, 8ul << board.ata_shift, 1u << board.ata_shift, 0, 0, 0};
    return count;
}

static int hostile_mmio(void)
{
    static struct victim list[8 + BOARD_VIRTIO_MAX];
    static unsigned faults[8 + BOARD_VIRTIO_MAX];
    unsigned count = list_victims(list);
    console_flush();
    bool were_on = interrupts_off();
    if (board.uart.base) {
        *(volatile uint8_t *)(board.uart.base + 3) = 0x03; /* LCR: no divisor access */
        *(volatile uint8_t *)(board.uart.base + 4) = 0x10; /* MCR: loopback */
    }
    for (unsigned i = 0; i < count; i++)
        faults[i] = attack(&list[i]);
    if (board.uart.base)
        *(volatile uint8_t *)(board.uart.base + 1) = 0; /* no interrupt from an unused UART */
    bool console_back = console->restart(console);
    plic_restart();
    bool disk_back = !disk || disk->restart(disk);
    if (were_on)
        interrupts_on();
    for (unsigned i = 0; i < count; i++)
        printf("mmio %s at %#lx: %u accesses faulted\n", list[i].name, list[i].device->base,
               faults[i]);
    if (!console_back || !disk_back)
        printf("mmio: a device did not come back from its reset\n");
    return console_back && disk_back ? 0 : 1;
}

/* --- dma --- */

#define DMA_SECTORS 8u /* the most that disk->hostile() may overwrite, from sector 0 on */

static int hostile_dma(void)
{
    if (!program_disk())
        return 1;
    if (!disk->hostile) {
        printf("dma: the %s has none\n", disk->name);
        return 0;
    }
    /* A machine without an IOMMU may carry a bad write out: keep the sectors that it would
     * overwrite. */
    static _Alignas(8) char before[DMA_SECTORS * DISK_SECTOR];
    uint32_t sectors = disk->sectors < DMA_SECTORS ? (uint32_t)disk->sectors : DMA_SECTORS;
    enum disk_status status = disk_do(DISK_READ, 0, sectors, before);
    if (status != DISK_OK) {
        printf("dma: the first sectors cannot be read: %s\n", disk_status_name(status));
        return 1;
    }
    unsigned refused = disk->hostile(disk);
    status = disk->restart(disk) ? disk_do(DISK_WRITE, 0, sectors, before) : DISK_TIMEOUT;
    printf("dma: %u requests were refused; a good one afterwards: %s\n", refused,
           disk_status_name(status));
    return status == DISK_OK ? 0 : 1;
}

static const struct {
    const char *name;
    int (*run)(void);
} hostile_row[] = {
    {"jump", hostile_jump}, {"satp", hostile_satp}, {"sbi", hostile_sbi},
    {"mmio", hostile_mmio}, {"dma", hostile_dma},
};

int command_hostile(int count, char **arguments)
{
    random_state = 1;
    for (unsigned i = 0; count == 2 && i < sizeof(hostile_row) / sizeof(*hostile_row); i++) {
        if (strcmp(arguments[1], hostile_row[i].name) == 0) {
            int status = hostile_row[i].run();
            printf("hostile %s: still alive\n", arguments[1]);
            return status;
        }
    }
    printf("usage: hostile jump|satp|sbi|mmio|dma\n");
    return 1;
}
