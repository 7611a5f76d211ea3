/* What bare guests share. See bare.h. */
#include "bare.h"

#define EID_DBCN      0x4442434eul
#define EID_SRST      0x53525354ul
#define FINISHER      0x100000ul /* QEMU's test finisher, mapped or not: used with paging off */
#define FINISHER_FAIL 0x3333u
#define LINE          256u

uint64_t bare_hart;
const void *bare_tree;
unsigned bare_failures;
struct bare_trap bare_trapped;
uint64_t bare_trying, bare_returned;
bool (*bare_on_trap)(struct bare_trap *trap);
uint64_t bare_root[512] __attribute__((aligned(4096)));

extern char image_end[];
static uint64_t devices[512] __attribute__((aligned(4096)));
static uint64_t own[512] __attribute__((aligned(4096)));
static char line[LINE];
static unsigned used;

struct bare_sbi bare_sbi(uint64_t extension, uint64_t function, uint64_t a0, uint64_t a1,
                         uint64_t a2, uint64_t a3)
{
    register uint64_t r0 __asm__("a0") = a0;
    register uint64_t r1 __asm__("a1") = a1;
    register uint64_t r2 __asm__("a2") = a2;
    register uint64_t r3 __asm__("a3") = a3;
    register uint64_t r6 __asm__("a6") = function;
    register uint64_t r7 __asm__("a7") = extension;
    __asm__ volatile("ecall" : "+r"(r0), "+r"(r1) : "r"(r2), "r"(r3), "r"(r6), "r"(r7) : "memory");
    return (struct bare_sbi){(int64_t)r0, r1};
}

static void flush(void)
{
    for (unsigned at = 0; at < used;) {
        struct bare_sbi wrote = bare_sbi(EID_DBCN, 0, used - at, (uint64_t)&line[at], 0, 0);
        if (wrote.error)
            break;
        at += (unsigned)wrote.value;
    }
    used = 0;
}

static int put(char c, FILE *file)
{
    (void)file;
    line[used++] = c;
    if (c == '\n' || used == LINE)
        flush();
    return 0;
}

static FILE console = FDEV_SETUP_STREAM(put, NULL, NULL, _FDEV_SETUP_WRITE);
FILE *const stdout = &console;

_Noreturn void bare_end(int status)
{
    flush();
    csr_write(CSR_SATP, 0);
    sfence_vma_all();
    if (status == 0)
        bare_sbi(EID_SRST, 0, 0, 0, 0, 0);
    bare_write(uint32_t, FINISHER, (unsigned)status << 16 | FINISHER_FAIL);
    for (;;)
        ;
}

bool bare_trap(void)
{
    if (bare_on_trap && bare_on_trap(&bare_trapped))
        return false;
    if (bare_trying) {
        csr_set(CSR_SSTATUS, SSTATUS_SPP);
        return true;
    }
    printf("FAIL: unexpected trap: scause %#lx, sepc %#lx, stval %#lx\n", bare_trapped.scause,
           bare_trapped.sepc, bare_trapped.stval);
    bare_end(1);
}

uint64_t bare_load(uint64_t address, uint64_t width)
{
    switch (width) {
    case 1: return bare_read(uint8_t, address);
    case 2: return bare_read(uint16_t, address);
    case 4: return bare_read(uint32_t, address);
    default: return bare_read(uint64_t, address);
    }
}

uint64_t bare_store_8(uint64_t address, uint64_t value)
{
    bare_write(uint8_t, address, value);
    return 0;
}

uint64_t bare_store_32(uint64_t address, uint64_t value)
{
    bare_write(uint32_t, address, value);
    return 0;
}

void *bare_page(void)
{
    static uint64_t next;
    if (!next)
        next = ((uint64_t)image_end + PAGE_MASK) & ~PAGE_MASK;
    void *page = (void *)next;
    next += PAGE_SIZE;
    return memset(page, 0, PAGE_SIZE);
}

static uint64_t table(const void *page)
{
    return (uint64_t)page >> PAGE_SHIFT << PTE_PPN_SHIFT | PTE_V;
}

static uint64_t leaf(uint64_t gpa, uint64_t bits)
{
    return gpa >> PAGE_SHIFT << PTE_PPN_SHIFT | PTE_V | bits;
}

void bare_paging(void)
{
    const uint64_t mega = 2ul << 20, kept = PTE_R | PTE_W | PTE_A | PTE_D;
    for (uint64_t at = BARE_PLIC; at < BARE_UART + mega; at += mega)
        devices[at / mega] = leaf(at, kept);
    bare_root[0] = table(devices);
    bare_root[1] = table(own);
    bare_root[2] = leaf(BARE_RAM, kept | PTE_X);
    csr_write(CSR_SATP, SATP_MODE_SV39 << SATP_MODE_SHIFT | (uint64_t)bare_root >> PAGE_SHIFT);
    sfence_vma_all();
}

uint64_t *bare_entry(uint64_t page)
{
    uint64_t *above = &own[page >> 9 & 511];
    if (!*above)
        *above = table(bare_page());
    return (uint64_t *)(PTE_PPN(*above) << PAGE_SHIFT) + (page & 511);
}

uint64_t bare_map(uint64_t page, uint64_t gpa, uint64_t bits)
{
    *bare_entry(page) = leaf(gpa, bits);
    return BARE_FREE + (page << PAGE_SHIFT);
}
