/*
 * When a 16550's line makes the PLIC's source pending again: handlers that leave the cause standing
 * have one interrupt and not a storm, and handlers that do one thing at each interrupt are called
 * again for the next thing. Teaching kernels have drivers of either kind. IIR is never read.
 */
#include "bare.h"

#define PLIC_PRIORITY  (BARE_PLIC + 4 * IRQ)
#define PLIC_ENABLE    (BARE_PLIC + 0x2080ul)
#define PLIC_THRESHOLD (BARE_PLIC + 0x201000ul)
#define PLIC_CLAIM     (BARE_PLIC + 0x201004ul)
#define IRQ            10u

enum { DATA, IER, FCR, LCR, MCR, LSR, MSR };
#define IER_RDI   1u
#define IER_THRI  2u
#define FCR_FIFO  1u
#define FCR_CLEAR 7u
#define MCR_OUT2  0x08u
#define MCR_LOOP  0x10u
#define LSR_DR    0x01u
#define LSR_IDLE  0x40u
#define TICKS     200000u /* 20 ms */
#define STORM     1000u

static unsigned claims, done, wanted;
static void (*handle)(void);

static uint8_t get(unsigned reg)
{
    return bare_read(uint8_t, BARE_UART + reg);
}

static void put(unsigned reg, unsigned value)
{
    bare_write(uint8_t, BARE_UART + reg, value);
}

static bool on_trap(struct bare_trap *trap)
{
    if (!(trap->scause >> 63))
        return false;
    uint32_t source = bare_read(uint32_t, PLIC_CLAIM);
    if (!source)
        return true;
    claims++;
    handle();
    bare_write(uint32_t, PLIC_CLAIM, source);
    if (claims > STORM)
        csr_write(CSR_SIE, 0);
    return true;
}

/* Takes interrupts for TICKS; how many were taken. Or takes them until so many things are done; how
 * many things were. Leaves the UART quiet and the PLIC empty. */
static unsigned run(void (*handler)(void), unsigned ier, unsigned things)
{
    claims = done = 0;
    wanted = things;
    handle = handler;
    put(IER, ier);
    csr_write(CSR_SIE, SIP_SEIP);
    csr_set(CSR_SSTATUS, SSTATUS_SIE);
    for (uint64_t end = bare_time() + (things ? 50 : 1) * TICKS;
         bare_time() < end && (!things || done < things);)
        ;
    csr_clear(CSR_SSTATUS, SSTATUS_SIE);
    put(IER, 0);
    for (uint32_t source; (source = bare_read(uint32_t, PLIC_CLAIM)) != 0;)
        bare_write(uint32_t, PLIC_CLAIM, source);
    return things ? done : claims;
}

static void nothing(void)
{
}

static void read_status(void)
{
    (void)get(LSR);
    (void)get(MSR);
}

/* The cause comes again between claim and completion, the first time. */
static void once_more(void)
{
    if (claims == 1) {
        put(IER, 0);
        put(IER, IER_THRI);
    }
}

static void same_again(void)
{
    put(IER, IER_THRI);
    put(LCR, 3);
}

/* A line feed at each interrupt. */
static void send_one(void)
{
    if (done < wanted) {
        done++;
        put(DATA, '\n');
    } else {
        put(IER, 0);
    }
}

/* One byte at each interrupt, whether there are more or not. */
static void receive_one(void)
{
    if (get(DATA) == 'a' + done)
        done++;
}

/* And a second byte comes while the first is handled. */
static void receive_and_send(void)
{
    receive_one();
    if (done < 5)
        put(DATA, 'a' + done);
}

int main(void)
{
    bare_on_trap = on_trap;
    bare_write(uint32_t, PLIC_PRIORITY, 1);
    bare_write(uint32_t, PLIC_ENABLE, 1u << IRQ);
    bare_write(uint32_t, PLIC_THRESHOLD, 0);
    put(LCR, 3);
    put(FCR, FCR_CLEAR);
    while (!(get(LSR) & LSR_IDLE))
        ;
    printf("nothing done: claimed %u\n", run(nothing, IER_THRI, 0));
    printf("status read: claimed %u\n", run(read_status, IER_THRI, 0));
    printf("enabled again: claimed %u\n", run(same_again, IER_THRI, 0));
    printf("once more while claimed: claimed %u\n", run(once_more, IER_THRI, 0));
    printf("one byte at each: sent %u\n", run(send_one, IER_THRI, 20));
    put(MCR, MCR_LOOP | MCR_OUT2); /* the console would print into the loop, too */
    for (unsigned i = 0; i < 5; i++)
        put(DATA, 'a' + i);
    unsigned waiting = run(receive_one, IER_RDI, 5);
    put(DATA, 'a');
    unsigned coming = run(receive_and_send, IER_RDI, 5);
    put(MCR, MCR_OUT2);
    printf("one byte at each: received %u that were waiting, %u that came meanwhile\n", waiting,
           coming);
    return bare_failures != 0;
}
