/*
 * The guest kernel's own interfaces: board, memory, traps, time, interrupts, console, disk, shell.
 *
 * One hart, S-mode, one thread of control. Memory is mapped identity (virtual == physical), so that
 * a buffer's address is also what a device's DMA takes. Interrupt handlers run with interrupts off.
 * Output is plain printf() of <stdio.h>; CSR names and accessors come from core/isa/riscv.h.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* --- board.c: what the device tree says --- */

struct board_device {
    uint64_t base, size; /* of the registers; base 0: the board has no such device */
    unsigned irq;        /* source on the PLIC; 0: none */
};

#define BOARD_VIRTIO_MAX 8u

struct board {
    const void *dtb;
    uint64_t hart;               /* hart id, from a0 */
    uint64_t ram_base, ram_size; /* first memory node; the firmware may own its beginning */
    uint64_t timebase;           /* ticks of `time` per second */
    bool has_sstc;               /* stimecmp exists */
    bool has_fpu;                /* the ISA string says f and d */
    const char *bootargs;        /* never null */
    struct board_device uart;    /* ns16550a */
    struct board_device plic;
    unsigned plic_sources;                        /* sources are 1..plic_sources */
    unsigned plic_context;                        /* this hart's S-mode context */
    struct board_device finisher;                 /* sifive,test1 */
    struct board_device ahci;                     /* generic-ahci */
    struct board_device ata;                      /* ata-generic: command block */
    uint64_t ata_control;                         /* the ATA control block's address */
    unsigned ata_shift;                           /* ATA registers are 1 << ata_shift bytes apart */
    struct board_device virtio[BOARD_VIRTIO_MAX]; /* virtio,mmio slots, by ascending address */
    unsigned virtios;
    struct board_device standard_output; /* the node that /chosen/stdout-path names */
};

extern struct board board;

/* Reads the device tree at dtb. Null on success, else a sentence that says what is missing. */
const char *board_read(const void *dtb);

/* --- page.c: physical pages and the kernel's page table --- */

/* Takes the RAM behind the kernel, less the device tree. Call once. */
void page_init(void);

/* So many contiguous zeroed 4 KiB pages, or null. */
void *page_alloc(size_t pages);
/* Gives back pages that page_alloc() gave; panics if one of them is free. */
void page_free(void *base, size_t pages);
/* How many pages are free. */
size_t page_free_count(void);

/* Maps [va, va+size) to pa in the Sv39 table root, with the largest pages that fit. All multiples
 * of 4 KiB; flags are PTE_R|PTE_W|..., V is added. False: no page left for a table. */
bool page_map(uint64_t *root, uint64_t va, uint64_t pa, uint64_t size, uint64_t flags);

/* Builds the kernel's table (RAM and the board's devices, identity) and turns paging on. */
bool page_enable(void);

/* satp of the kernel's table; 0 before page_enable(). */
uint64_t page_kernel_satp(void);

/* --- trap_vector.S, trap.c --- */

/* The vector saves it on the kernel's stack and restores it on return; trap_vector.S knows the
 * order. */
struct trap_frame {
    uint64_t x[32]; /* x[0] is unused */
    uint64_t sepc, sstatus, scause, stval;
};

/* Installs the kernel's vector (trap_vector, direct mode). */
void trap_init(void);
extern char trap_vector[];

/* Unless null, sees every exception (not interrupts) first. True: the kernel resumes from the
 * frame. A test may instead write a vector of its own to stvec, and must put trap_vector back. */
extern bool (*trap_hook)(struct trap_frame *frame);

/* Calls function(argument). False: the call ended in an exception, whose frame is in *seen. */
bool trap_try(void (*function)(uint64_t argument), uint64_t argument, struct trap_frame *seen);

/* "load page fault", "timer interrupt", ... */
const char *trap_name(uint64_t scause);

/* Interrupts on and off (sstatus.SIE). off returns whether they were on. */
void interrupts_on(void);
bool interrupts_off(void);

/* The log of traps behind `trace on`, which is kept while a command runs and printed after it. */
void trap_trace_set(bool on);
void trap_trace_print(void);

/* Traps taken since boot. */
extern volatile uint64_t trap_interrupts;
uint64_t trap_count_interrupts(void);
uint64_t trap_count_exceptions(void);

/* Prints the sentence, if the console still can, and ends the machine with status 101. */
_Noreturn void panic(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* --- time.c --- */

uint64_t time_now(void);            /* ticks */
uint64_t time_from_ms(uint64_t ms); /* ticks */
uint64_t time_to_us(uint64_t ticks);
void time_init(void);             /* sets sie.STIE */
void time_interrupt(void);        /* called by the trap handler */
void time_set(uint64_t deadline); /* stimecmp or SBI set_timer; UINT64_MAX: never */

/* Sleeps (wfi) until done(argument) is true or the deadline has passed; interrupts are on
 * meanwhile. The last value of done(argument). */
bool time_wait(bool (*done)(void *argument), void *argument, uint64_t deadline);

/* On: time_wait() does not sleep but spins until an interrupt was taken, as a kernel does that has
 * something else to do. The cost of spinning is known: time_spun() instructions since boot. */
void time_spin_set(bool on);
uint64_t time_spun(void);

/* Spins until trap_interrupts is not `taken` any more; interrupts must be on. */
void time_spin(uint64_t taken);

/* Called by the trap handler: an interrupt that is taken while the kernel spins ends the
 * spinning. */
void time_spin_leave(struct trap_frame *frame);

/* `time` when the last timer interrupt was handled. */
uint64_t time_of_interrupt(void);

/* --- plic.c --- */

void plic_init(void);
/* Routes a source to handler(argument); a null handler disables the source. */
void plic_route(unsigned irq, void (*handler)(void *argument), void *argument);
void plic_restart(void);   /* sets the registers as routed, after a program wrote them */
void plic_interrupt(void); /* called by the trap handler */

/* --- sbi.c --- */

struct sbi_result {
    int64_t error, value;
};
struct sbi_result sbi_call(uint64_t extension, uint64_t function, uint64_t a0, uint64_t a1,
                           uint64_t a2);

#define SBI_EXT_LEGACY_PUTCHAR 0x01u
#define SBI_EXT_BASE           0x10u
#define SBI_EXT_TIME           0x54494d45u
#define SBI_EXT_SRST           0x53525354u
/* Vendor: function 0 marks the begin of a workload, 1 its end. */
#define SBI_EXT_TRIDENT       0x09000001u
#define SBI_ERR_NOT_SUPPORTED (-2)

/* Ends or restarts the machine through the test finisher, else SBI system reset. */
_Noreturn void machine_poweroff(unsigned status);
_Noreturn void machine_reboot(void);

/* --- console.c --- */

/* A console driver. It pulls output with console_output_take() and pushes input with
 * console_input_put(). Before console_start() and in a panic, write_polled() sends. */
struct console {
    const char *name; /* "16550A UART", "virtio console" */
    struct board_device *device;
    void (*output_ready)(struct console *console); /* there is output: start to send */
    void (*write_polled)(struct console *console, const char *bytes, size_t len);
    bool (*is_idle)(struct console *console); /* all output taken has left the device */
    void (*interrupt)(void *console);
    bool (*restart)(struct console *console); /* reset the device and start it over */
};

extern struct console *console;

void console_use(struct console *driver); /* polled output from here on */
void console_start(void);                 /* interrupt-driven from here on */
size_t console_output_take(char *bytes, size_t max);
void console_input_put(char byte); /* Ctrl-C is noted, not queued */
void console_flush(void);          /* waits, at most 5 s, until the device has all output */
int console_read_byte(void);       /* waits for input; -1 after Ctrl-C */
bool console_interrupted(void);    /* Ctrl-C since console_interrupt_clear() */
void console_interrupt_clear(void);
void console_polled(void); /* for panic(): polled output from here on */

/* --- disk.c --- */

#define DISK_SECTOR 512u

enum disk_op { DISK_READ, DISK_WRITE, DISK_FLUSH };

enum disk_status {
    DISK_OK,
    DISK_PENDING,
    DISK_ERROR,    /* the device reported an error */
    DISK_TIMEOUT,  /* the device did not answer */
    DISK_MISMATCH, /* disk_run(): each() returned false */
    DISK_ABORTED,  /* disk_run(): Ctrl-C */
};

struct disk_request {
    enum disk_op op;
    uint64_t sector;
    uint32_t count;                   /* sectors, at most disk->max_count; 0 for DISK_FLUSH */
    void *buffer;                     /* count * 512 bytes */
    volatile enum disk_status status; /* set by submit() and by the driver's interrupt handler */
};

struct disk {
    const char *name; /* "virtio disk", "AHCI disk", "ATA disk" */
    uint64_t sectors; /* capacity, in sectors of 512 bytes */
    char serial[21];
    unsigned depth; /* requests that may be in flight */
    uint32_t max_count;
    /* Starts the request. False: the depth is reached, try again after a completion. The range
     * is not checked here, so that the device answers for itself. */
    bool (*submit)(struct disk *disk, struct disk_request *request);
    /* Null, or tells the device of requests that were submitted before: it may not know of them. */
    void (*commit)(struct disk *disk);
    /* Resets the device, fails the requests in flight, starts over. False: the device is dead. */
    bool (*restart)(struct disk *disk);
    /* For `hostile dma`: makes requests with addresses and lengths outside RAM; how many of them
     * the device refused. May overwrite the first 8 sectors. Null: the device has no DMA. */
    unsigned (*hostile)(struct disk *disk);
    struct board_device *device;
};

extern struct disk *disk; /* null: none found */

/* Submits and waits, restarting the device on a timeout. */
enum disk_status disk_do(enum disk_op op, uint64_t sector, uint32_t count, void *buffer);
/* Makes sure that the device knows of all requests that were submitted. */
void disk_commit(void);
/* Waits for a submitted request, restarting the device on a timeout. */
enum disk_status disk_wait(struct disk_request *request);
const char *disk_status_name(enum disk_status status);

/* A run of requests over part of the disk, several in flight. */
struct disk_stream {
    enum disk_op op;
    uint64_t first, sectors; /* the part; the run starts over at the part's end */
    uint64_t total;          /* sectors to move */
    uint32_t count;          /* sectors per request; only the last may be shorter */
    unsigned depth;          /* at most DISK_DEPTH_MAX; the device's depth rules in any case */
    char *memory;            /* depth * count sectors; if by_position, `sectors` */
    bool by_position;        /* a sector's data is at memory + the sector's distance from first */
    /* Null, or called before a write and after a read; false ends the run: DISK_MISMATCH. */
    bool (*each)(struct disk_request *request);
};

#define DISK_DEPTH_MAX 32u

/* DISK_OK, or the first failure, of which *failed is the request's sector. A Ctrl-C ends the run
 * early with DISK_ABORTED. In any case waits for all requests in flight. */
enum disk_status disk_run(const struct disk_stream *stream, uint64_t *failed);

/* --- shell.c --- */

/* Runs `commands`, separated by ';', all of them; then the machine powers off. */
_Noreturn void shell_script(const char *commands);
/* Reads command lines and runs them, for ever. */
_Noreturn void shell_interactive(void);

/* --- Drivers: null if the device is absent or does not answer --- */

struct console *uart_console(struct board_device *device);
struct console *virtio_console(struct board_device *device);
struct disk *virtio_disk(struct board_device *device);
struct disk *ahci_disk(struct board_device *device);
struct disk *ata_disk(struct board_device *device);
