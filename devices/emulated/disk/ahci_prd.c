/*
 * The scatter/gather list of an AHCI command, turned into the segments of a host request.
 *
 * AHCI 1.3.1, section 4.2.3.3 (physical region descriptor table).
 *
 * The surprise: a PRD may be as short as two bytes, the host wants whole sectors in at most
 * HOST_DISK_MAX_SEGMENTS pieces. A transfer is cut at the last whole sector that fits, or that the
 * first PRDS_AT_ONCE entries hold, continued when the host is done with that, and a sector in too
 * many pieces for one request goes through a buffer.
 */
#include "devices/emulated/disk/ahci.h"

#include <string.h>

#define PRDS_AT_ONCE 256u /* entries that are looked at for one request to the host's disk */

#define PRD_DBC 0x3fffffu  /* byte count less one */
#define PRD_I   (1u << 31) /* interrupt on completion */

/* As the guest wrote it: little-endian, as the host is. */
struct entry {
    uint64_t gpa;
    uint32_t reserved;
    uint32_t flags; /* PRD_DBC, PRD_I */
};

struct prd {
    uint64_t gpa;
    uint32_t len; /* what is left of the entry */
    bool interrupt;
};

/* The PRD at the cursor. 0, or the PxIS bit that says why there is none. */
static uint32_t prd_at_cursor(struct device *dev, const struct ahci_slot *slot, struct prd *prd)
{
    if (slot->cursor.prd >= slot->prds)
        return PXIS_OFS;
    struct entry entry;
    uint64_t gpa = slot->table_gpa + AHCI_TABLE_PRDS + sizeof(entry) * slot->cursor.prd;
    const void *in_table = vm_ram(dev->vm, gpa, sizeof(entry));
    if (!in_table)
        return PXIS_HBFS;
    memcpy(&entry, in_table, sizeof(entry));
    uint32_t size = (entry.flags & PRD_DBC) + 1;
    if (slot->cursor.done >= size)
        return PXIS_HBFS; /* the guest shortened the entry while it was in use */
    prd->gpa = entry.gpa + slot->cursor.done;
    prd->len = size - slot->cursor.done;
    prd->interrupt = entry.flags & PRD_I;
    return 0;
}

static void advance(struct ahci_cursor *cursor, const struct prd *prd, uint32_t len)
{
    cursor->done += len;
    if (len == prd->len) {
        cursor->prd++;
        cursor->done = 0;
        cursor->interrupt |= prd->interrupt;
    }
}

uint32_t ahci_prd_copy_sector(struct device *dev, struct ahci_slot *slot)
{
    uint32_t moved = 0;
    while (moved < HOST_DISK_SECTOR) {
        struct prd prd;
        uint32_t error = prd_at_cursor(dev, slot, &prd);
        if (error)
            return error;
        uint32_t len = prd.len < HOST_DISK_SECTOR - moved ? prd.len : HOST_DISK_SECTOR - moved;
        void *data = ahci_to_guest(slot) ? vm_ram_for_write(dev->vm, prd.gpa, len)
                                         : vm_ram(dev->vm, prd.gpa, len);
        if (!data)
            return PXIS_HBDS;
        if (ahci_to_guest(slot))
            memcpy(data, slot->sector + moved, len);
        else
            memcpy(slot->sector + moved, data, len);
        advance(&slot->cursor, &prd, len);
        moved += len;
    }
    return 0;
}

/* Adds to the request, joining what is adjacent. False: no room for another segment. */
static bool add_segment(struct ahci_slot *slot, uint8_t *base, uint32_t len)
{
    struct host_disk_request *request = &slot->request;
    struct host_segment *last = slot->segments + request->nsegments - 1;
    if (request->nsegments && (uint8_t *)last->base + last->len == base) {
        last->len += len;
        return true;
    }
    if (request->nsegments == HOST_DISK_MAX_SEGMENTS)
        return false;
    slot->segments[request->nsegments++] = (struct host_segment){base, len};
    return true;
}

uint32_t ahci_prd_collect(struct device *dev, struct ahci_slot *slot)
{
    uint32_t wanted = slot->left.count * HOST_DISK_SECTOR, total = 0;
    struct ahci_cursor mark = slot->cursor; /* at the last whole sector, with the two lines below */
    uint32_t mark_segments = 0, mark_len = 0;
    slot->request.nsegments = 0;
    slot->chunk = 0;
    for (unsigned seen = 0; total < wanted && seen < PRDS_AT_ONCE; seen++) {
        struct prd prd;
        uint32_t error = prd_at_cursor(dev, slot, &prd);
        if (error)
            return error;
        uint32_t len = prd.len < wanted - total ? prd.len : wanted - total;
        uint32_t tail = (total + len) % HOST_DISK_SECTOR;
        if (tail < len)
            len -= tail;
        uint8_t *base = vm_ram(dev->vm, prd.gpa, len);
        if (!base)
            return PXIS_HBDS;
        if (!add_segment(slot, base, len))
            break;
        advance(&slot->cursor, &prd, len);
        total += len;
        if (total % HOST_DISK_SECTOR == 0) {
            mark = slot->cursor;
            mark_segments = slot->request.nsegments;
            mark_len = slot->segments[mark_segments - 1].len;
            slot->chunk = total / HOST_DISK_SECTOR;
        }
    }
    slot->cursor = mark;
    slot->request.nsegments = mark_segments;
    if (mark_segments)
        slot->segments[mark_segments - 1].len = mark_len;
    return 0;
}

uint32_t ahci_prd_bounce(struct device *dev, struct ahci_slot *slot)
{
    slot->bounced = true;
    slot->chunk = 1;
    slot->request.nsegments = 1;
    slot->segments[0] = (struct host_segment){slot->sector, HOST_DISK_SECTOR};
    return slot->kind == ATA_WRITE ? ahci_prd_copy_sector(dev, slot) : 0;
}
