/*
 * What zero-copy saves: with ABLATE=copy the host's disk sees a buffer of the VMM, and every byte
 * is copied between it and the guest's pages. A request longer than the buffer goes in several
 * pieces.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "host/ends.h"

#define BOUNCE_SIZE  32768u /* bytes per slot; a multiple of the sector */
#define BOUNCE_SLOTS 32u    /* as many as the strategies keep in flight */

/* Bytes of the request's next piece when `moved` of them are done. */
uint32_t bounce_piece(const struct host_disk_request *request, uint32_t moved);

/* Copies len bytes from offset of the request's segments to the buffer, or back. */
void bounce_gather(const struct host_disk_request *request, uint32_t offset, uint8_t *buffer,
                   uint32_t len);
void bounce_scatter(const struct host_disk_request *request, uint32_t offset, const uint8_t *buffer,
                    uint32_t len);
