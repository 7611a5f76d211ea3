/*
 * Split virtqueue, device side: virtio 1.2, section 2.7 (layout 2.7.5 to 2.7.8, indirect tables
 * 2.7.5.3, suppression of interrupts and notifications 2.7.7 and 2.7.10).
 *
 * The surprise: the driver's suppression fields sit in the other ring. used_event, by which the
 * driver limits our interrupts, is the last word of the available ring; avail_event, by which we
 * limit its notifications, is the last word of the used ring.
 *
 * Guest RAM changes under our hands: each field is read once, into a local, and checked there.
 * Both sides are little-endian.
 */
#include "devices/paravirt/ring.h"

#include <string.h>

#include "core/device.h"

#define DESC_NEXT     1u /* goes on at .next */
#define DESC_WRITE    2u /* the device writes here (else it reads) */
#define DESC_INDIRECT 4u /* holds a table of descriptors */

#define AVAIL_NO_INTERRUPT 1u /* available ring's flags: without EVENT_IDX only */
#define USED_NO_NOTIFY     1u /* used ring's flags: without EVENT_IDX only */

struct desc {
    uint64_t gpa;
    uint32_t len;
    uint16_t flags;
    uint16_t next;
};

struct used_element {
    uint32_t id;
    uint32_t len;
};

/* Both rings start with flags and idx. */
enum { FLAGS, IDX, ENTRIES };

static uint64_t avail_bytes(const struct ring *ring)
{
    return 6 + 2 * (uint64_t)ring->num;
}

static uint64_t used_bytes(const struct ring *ring)
{
    return 6 + 8 * (uint64_t)ring->num;
}

static uint16_t *avail_ring(struct vm *vm, const struct ring *ring)
{
    return vm_ram(vm, ring->driver_gpa, avail_bytes(ring));
}

static uint16_t *used_ring(struct vm *vm, const struct ring *ring)
{
    return vm_ram_for_write(vm, ring->device_gpa, used_bytes(ring));
}

/* The index of avail_event, seen from the used ring's start as 16-bit words. */
static uint32_t avail_event(const struct ring *ring)
{
    return ENTRIES + 4 * ring->num;
}

bool ring_start(struct vm *vm, struct ring *ring, bool indirect, bool event_idx)
{
    uint32_t num = ring->num;
    if (num == 0 || num > RING_MAX_NUM || (num & (num - 1)) != 0)
        return false;
    if (ring->desc_gpa % 16 != 0 || ring->driver_gpa % 2 != 0 || ring->device_gpa % 4 != 0)
        return false;
    if (!vm_ram(vm, ring->desc_gpa, num * sizeof(struct desc)) ||
        !vm_ram(vm, ring->driver_gpa, avail_bytes(ring)) ||
        !vm_ram(vm, ring->device_gpa, used_bytes(ring)))
        return false;
    ring->ready = true;
    ring->indirect = indirect;
    ring->event_idx = event_idx;
    ring->listening = false;
    ring->next_avail = ring->next_used = ring->asked_used = 0;
    return true;
}

/* Appends what one descriptor describes. False: against the rules. */
static bool chain_add(struct vm *vm, struct ring_chain *chain, const struct desc *desc)
{
    unsigned count = chain->readable + chain->writable;
    uint64_t total = (uint64_t)chain->readable_bytes + chain->writable_bytes + desc->len;
    uint8_t *ram = vm_ram(vm, desc->gpa, desc->len);
    if (count == RING_MAX_SEGMENTS || total > UINT32_MAX || !ram)
        return false;
    if (desc->flags & DESC_WRITE) {
        chain->writable++;
        chain->writable_bytes += desc->len;
    } else if (chain->writable == 0) {
        chain->readable++;
        chain->readable_bytes += desc->len;
    } else {
        return false; /* readable behind writable: 2.7.4.2 */
    }
    chain->segment[count] = (struct ring_segment){desc->gpa, ram, desc->len};
    return true;
}

/* Follows a chain, which may end in one indirect table. False: against the rules. */
static bool chain_walk(struct vm *vm, const struct ring *ring, uint16_t head,
                       struct ring_chain *chain)
{
    uint32_t entries = ring->num;
    uint32_t index = head;
    bool in_indirect = false;
    const uint8_t *table = vm_ram(vm, ring->desc_gpa, entries * sizeof(struct desc));
    chain->head = head;
    chain->readable = chain->writable = 0;
    chain->readable_bytes = chain->writable_bytes = 0;

    /* One more than a chain can have segments, for the descriptor of the indirect table. A chain
     * that loops runs into the bound. */
    for (unsigned seen = 0; seen <= RING_MAX_SEGMENTS; seen++) {
        struct desc desc;
        if (!table || index >= entries)
            return false;
        memcpy(&desc, table + (uint64_t)index * sizeof(desc), sizeof(desc));
        __atomic_signal_fence(__ATOMIC_SEQ_CST); /* from here on the copy, never the original */
        if (desc.flags & DESC_INDIRECT) {
            if (!ring->indirect || in_indirect || (desc.flags & DESC_NEXT) ||
                desc.len % sizeof(desc) != 0)
                return false;
            in_indirect = true;
            table = vm_ram(vm, desc.gpa, desc.len);
            entries = desc.len / sizeof(desc);
            index = 0;
            continue;
        }
        if (!chain_add(vm, chain, &desc))
            return false;
        if (!(desc.flags & DESC_NEXT))
            return true;
        index = desc.next;
    }
    return false;
}

/* Asks the driver to notify of the next chain, or tells it not to. False: the ring is not in RAM.
 * With EVENT_IDX silence needs no word: the event that we named is behind. */
static bool listen(struct vm *vm, struct ring *ring, bool on)
{
    if (ring->listening == on || (!on && ring->asks == RING_ASKS_ALWAYS))
        return true;
    uint16_t *used = used_ring(vm, ring);
    if (!used)
        return false;
    if (!ring->event_idx)
        __atomic_store_n(&used[FLAGS], on ? 0 : USED_NO_NOTIFY, __ATOMIC_RELAXED);
    else if (on)
        __atomic_store_n(&used[avail_event(ring)], ring->next_avail, __ATOMIC_RELAXED);
    ring->listening = on;
    return true;
}

/* How many chains wait. Negative: the ring is broken. */
static int pending(struct vm *vm, const struct ring *ring)
{
    const uint16_t *avail = avail_ring(vm, ring);
    if (!avail)
        return -1;
    /* Acquire: the entries below idx are read after it. */
    uint16_t count = __atomic_load_n(&avail[IDX], __ATOMIC_ACQUIRE) - ring->next_avail;
    return count > ring->num ? -1 : count;
}

enum ring_result ring_pop(struct vm *vm, struct ring *ring, struct ring_chain *chain)
{
    int count = pending(vm, ring);
    if (count == 0 && !ring->listening && ring->asks != RING_ASKS_NEVER) {
        if (!listen(vm, ring, true))
            return RING_BROKEN;
        /* The driver may have added a chain before it could see that we listen. */
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        count = pending(vm, ring);
    }
    if (count == 0)
        return RING_EMPTY;
    if (count < 0 || !listen(vm, ring, false))
        return RING_BROKEN;

    const uint16_t *avail = avail_ring(vm, ring);
    if (!avail)
        return RING_BROKEN;
    uint16_t head = __atomic_load_n(&avail[ENTRIES + ring->next_avail % ring->num],
                                    __ATOMIC_RELAXED);
    if (!chain_walk(vm, ring, head, chain))
        return RING_BROKEN;
    ring->next_avail++;
    return RING_CHAIN;
}

enum ring_result ring_push(struct vm *vm, struct ring *ring, uint16_t head, uint32_t written)
{
    uint16_t *used = used_ring(vm, ring);
    struct used_element element = {head, written};
    if (!used)
        return RING_BROKEN;
    memcpy(&used[ENTRIES + 4 * (ring->next_used % ring->num)], &element, sizeof(element));
    ring->next_used++;
    /* Release: the data and the element are seen before the index that announces them. */
    __atomic_store_n(&used[IDX], ring->next_used, __ATOMIC_RELEASE);
    return RING_CHAIN;
}

bool ring_wants_interrupt(struct vm *vm, struct ring *ring)
{
    const uint16_t *avail = avail_ring(vm, ring);
    uint16_t pushed = ring->next_used - ring->asked_used;
    if (!avail || pushed == 0)
        return false;
    ring->asked_used = ring->next_used;
    /* used->idx must be seen before we look for the driver's wish: it does the same in reverse. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (!ring->event_idx)
        return !(__atomic_load_n(&avail[FLAGS], __ATOMIC_RELAXED) & AVAIL_NO_INTERRUPT);
    uint16_t event = __atomic_load_n(&avail[ENTRIES + ring->num], __ATOMIC_RELAXED);
    /* Was the element number `event` among those pushed? All modulo 2^16. */
    return (uint16_t)(ring->next_used - event - 1) < pushed;
}
