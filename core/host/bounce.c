#include "host/bounce.h"

#include <string.h>

uint32_t bounce_piece(const struct host_disk_request *request, uint32_t moved)
{
    uint64_t left = 0;
    for (uint32_t i = 0; i < request->nsegments; i++)
        left += request->segments[i].len;
    left -= moved;
    return left < BOUNCE_SIZE ? (uint32_t)left : BOUNCE_SIZE;
}

static void copy(const struct host_disk_request *request, uint32_t offset, uint8_t *buffer,
                 uint32_t len, bool to_guest)
{
    for (uint32_t i = 0; i < request->nsegments && len > 0; i++) {
        uint32_t part = request->segments[i].len;
        uint8_t *base = request->segments[i].base;
        if (part <= offset) {
            offset -= part;
            continue;
        }
        part = part - offset < len ? part - offset : len;
        if (to_guest)
            memcpy(base + offset, buffer, part);
        else
            memcpy(buffer, base + offset, part);
        offset = 0;
        buffer += part;
        len -= part;
    }
}

void bounce_gather(const struct host_disk_request *request, uint32_t offset, uint8_t *buffer,
                   uint32_t len)
{
    copy(request, offset, buffer, len, false);
}

void bounce_scatter(const struct host_disk_request *request, uint32_t offset, const uint8_t *buffer,
                    uint32_t len)
{
    copy(request, offset, (uint8_t *)buffer, len, true);
}
