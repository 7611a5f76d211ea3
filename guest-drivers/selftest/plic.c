/*
 * The PLIC's registers, and an interrupt's way through them.
 *
 * RISC-V PLIC specification 1.0, with the geometry of QEMU's board. The surprise: QEMU's PLIC
 * works its outputs out anew after a write of a priority or threshold, not after one of an enable
 * bit: enable bits are checked by what a claim gives.
 */
#include "external.h"
#include "harness.h"
#include "kernel.h"

#define SPARE 3u /* a source that no device drives */

static volatile uint32_t *reg(uint64_t offset)
{
    return external_plic(offset);
}

static void priority_values(void)
{
    external_take();
    for (unsigned source = 1; source <= board.plic_sources; source++)
        for (uint32_t value = 0; value < 8; value++) {
            *reg(PLIC_PRIORITY(source)) = 7 - value;
            expect_index("priority", source, *reg(PLIC_PRIORITY(source)), 7 - value);
        }
    external_give_back();
}
static void priority_mask(void)
{
    external_take();
    *reg(PLIC_PRIORITY(SPARE)) = 0xffffffff;
    expect("ones", *reg(PLIC_PRIORITY(SPARE)), 7);
    *reg(PLIC_PRIORITY(SPARE)) = 8;
    expect("eight", *reg(PLIC_PRIORITY(SPARE)), 0);
    external_give_back();
}
static void priority_neighbours(void)
{
    external_take();
    for (unsigned source = 1; source < 12; source++)
        *reg(PLIC_PRIORITY(source)) = source % 8;
    for (unsigned source = 1; source < 12; source++)
        expect_index("priority", source, *reg(PLIC_PRIORITY(source)), source % 8);
    external_give_back();
}
static void threshold(void)
{
    external_take();
    for (uint32_t value = 0; value < 8; value++) {
        *reg(PLIC_THRESHOLD) = value;
        expect("threshold", *reg(PLIC_THRESHOLD), value);
    }
    *reg(PLIC_THRESHOLD) = 0xfffffffd;
    expect("mask", *reg(PLIC_THRESHOLD), 5);
    external_give_back();
}
static void enable(void)
{
    external_take();
    for (unsigned source = 1; source <= board.plic_sources; source++) {
        *reg(PLIC_ENABLE(source)) = 1u << source % 32;
        expect_index("enable", source, *reg(PLIC_ENABLE(source)), 1u << source % 32);
        *reg(PLIC_ENABLE(source)) = 0;
        expect_index("disable", source, *reg(PLIC_ENABLE(source)), 0);
    }
    external_give_back();
}
static void enable_word(void)
{
    external_take();
    *reg(PLIC_ENABLE(0)) = 0xa5a5a5a4;
    *reg(PLIC_ENABLE(32)) = 0x5a5a5a5a;
    expect("first", *reg(PLIC_ENABLE(0)), 0xa5a5a5a4);
    expect("second", *reg(PLIC_ENABLE(32)), 0x5a5a5a5a);
    *reg(PLIC_ENABLE(0)) = 0;
    *reg(PLIC_ENABLE(32)) = 0;
    external_give_back();
}
/* Context 0 is the firmware's; its registers exist, and are not those of vS's context. */
static void contexts(void)
{
    external_take();
    uint64_t other_threshold = PLIC_THRESHOLD - 0x1000 * board.plic_context;
    uint64_t other_enable = PLIC_ENABLE(SPARE) - 0x80 * board.plic_context;
    uint32_t before = *reg(other_threshold), enabled = *reg(other_enable);
    *reg(PLIC_THRESHOLD) = 6;
    *reg(PLIC_ENABLE(SPARE)) = 0;
    *reg(other_threshold) = 2;
    *reg(other_enable) = 1u << SPARE;
    expect("threshold", *reg(PLIC_THRESHOLD), 6);
    expect("other-threshold", *reg(other_threshold), 2);
    expect("enable", *reg(PLIC_ENABLE(SPARE)), 0);
    expect("other-enable", *reg(other_enable), 1u << SPARE);
    *reg(other_threshold) = before;
    *reg(other_enable) = enabled;
    external_give_back();
}
static void pending_read_only(void)
{
    external_take();
    uint32_t before = *reg(PLIC_PENDING(SPARE)) & 1u << SPARE;
    *reg(PLIC_PENDING(SPARE)) = before ^ 1u << SPARE;
    expect("pending", *reg(PLIC_PENDING(SPARE)) & 1u << SPARE, before);
    external_give_back();
}
static void nowhere(void)
{
    static const uint64_t offsets[] = {0x800,    0x1080,   0x1ffc,   0x2200,   0x10000, 0x1ffffc,
                                       0x200008, 0x201008, 0x202000, 0x202004, 0x300000};
    for (unsigned i = 0; i < COUNT(offsets); i++) {
        *reg(offsets[i]) = 0xffffffff;
        expect_index("reserved", offsets[i], *reg(offsets[i]), 0);
    }
}
static void claim_nothing(void)
{
    external_take();
    expect("claim", *reg(PLIC_CLAIM), 0);
    *reg(PLIC_CLAIM) = 0;
    *reg(PLIC_CLAIM) = SPARE;
    *reg(PLIC_CLAIM) = 0xffffffff;
    *reg(PLIC_CLAIM) = 1000;
    expect("claim-again", *reg(PLIC_CLAIM), 0);
    external_give_back();
}

/* --- With a source that is pending --- */

static uint64_t seip(uint64_t wanted)
{
    uint64_t end = csr_read(CSR_TIME) + 10000000;
    while ((csr_read(CSR_SIP) & SIP_SEIP) != wanted && csr_read(CSR_TIME) < end)
        continue;
    return csr_read(CSR_SIP) & SIP_SEIP;
}

static bool is_pending(void)
{
    return *reg(PLIC_PENDING(external_source())) >> external_source() % 32 & 1;
}

/* body runs with the source pending, enabled, at priority 1 over threshold 0. */
static void pending_source(void (*body)(unsigned source))
{
    external_take();
    if (expect("raised", external_raise(), 1)) {
        expect("seip", seip(SIP_SEIP), SIP_SEIP);
        body(external_source());
    }
    expect("lowered", external_lower(), 1);
    expect("seip-after", seip(0), 0);
    expect("claim-after", *reg(PLIC_CLAIM), 0);
    external_give_back();
}

static void body_claim(unsigned source)
{
    expect("pending", is_pending(), 1);
    expect("claim", *reg(PLIC_CLAIM) == source, 1);
    expect("pending-after-claim", is_pending(), 0);
    expect("seip-after-claim", seip(0), 0);
    expect("second-claim", *reg(PLIC_CLAIM), 0);
}
static void body_threshold(unsigned source)
{
    *reg(PLIC_THRESHOLD) = 1;
    expect("seip-at-threshold-1", seip(0), 0);
    expect("claim-at-threshold-1", *reg(PLIC_CLAIM), 0);
    *reg(PLIC_PRIORITY(source)) = 2;
    expect("seip-at-priority-2", seip(SIP_SEIP), SIP_SEIP);
    *reg(PLIC_THRESHOLD) = 7;
    *reg(PLIC_PRIORITY(source)) = 7;
    expect("seip-at-threshold-7", seip(0), 0);
    *reg(PLIC_THRESHOLD) = 6;
    expect("seip-at-threshold-6", seip(SIP_SEIP), SIP_SEIP);
    expect("claim", *reg(PLIC_CLAIM) == source, 1);
}
static void body_priority_zero(unsigned source)
{
    *reg(PLIC_PRIORITY(source)) = 0;
    expect("seip", seip(0), 0);
    expect("claim", *reg(PLIC_CLAIM), 0);
    expect("pending", is_pending(), 1);
    *reg(PLIC_PRIORITY(source)) = 1;
    expect("seip-again", seip(SIP_SEIP), SIP_SEIP);
}
static void body_enable(unsigned source)
{
    *reg(PLIC_ENABLE(source)) = 0;
    expect("claim-disabled", *reg(PLIC_CLAIM), 0);
    expect("pending", is_pending(), 1);
    *reg(PLIC_ENABLE(source)) = 1u << source % 32;
    expect("claim-enabled", *reg(PLIC_CLAIM) == source, 1);
}
static void body_wrong_complete(unsigned source)
{
    expect("claim", *reg(PLIC_CLAIM) == source, 1);
    *reg(PLIC_CLAIM) = SPARE;
    *reg(PLIC_CLAIM) = 0;
    *reg(PLIC_CLAIM) = 500;
    expect("still-claimed", *reg(PLIC_CLAIM), 0);
    expect("seip", seip(0), 0);
}
static void body_other_context(unsigned source)
{
    uint64_t other = PLIC_CLAIM - 0x1000 * board.plic_context;
    expect("claim-by-context-0", *reg(other), 0);
    expect("claim", *reg(PLIC_CLAIM) == source, 1);
}

static void claim(void)
{
    pending_source(body_claim);
}
static void claim_threshold(void)
{
    pending_source(body_threshold);
}
static void claim_priority_zero(void)
{
    pending_source(body_priority_zero);
}
static void claim_enable(void)
{
    pending_source(body_enable);
}
static void wrong_complete(void)
{
    pending_source(body_wrong_complete);
}
static void other_context(void)
{
    pending_source(body_other_context);
}
static void again(void)
{
    for (unsigned i = 0; i < 5; i++)
        pending_source(body_claim);
}

static const struct check checks[] = {
    {"plic-priority-values", priority_values},
    {"plic-priority-mask", priority_mask},
    {"plic-priority-neighbours", priority_neighbours},
    {"plic-threshold", threshold},
    {"plic-enable-bits", enable},
    {"plic-enable-words", enable_word},
    {"plic-contexts", contexts},
    {"plic-pending-read-only", pending_read_only},
    {"plic-reserved-registers", nowhere},
    {"plic-claim-nothing", claim_nothing},
    {"plic-claim", claim},
    {"plic-claim-threshold", claim_threshold},
    {"plic-claim-priority-zero", claim_priority_zero},
    {"plic-claim-enable", claim_enable},
    {"plic-complete-wrong-source", wrong_complete},
    {"plic-claim-by-other-context", other_context},
    {"plic-claim-five-times", again},
};

const struct subject plic_subject = {.checks = checks, .check_count = COUNT(checks)};
