/* A vcpu without PATCH=inline, for tests of what lies around it. */
#include "engine/trap/inline.h"
#include "vm/vm.h"

uint64_t inline_fs(const struct vcpu *vcpu)
{
    return vcpu->host_sstatus & SSTATUS_FS;
}

void inline_set_fs(struct vcpu *vcpu, uint64_t fs)
{
    vcpu->host_sstatus = (vcpu->host_sstatus & ~SSTATUS_FS) | (fs & SSTATUS_FS);
}

void inline_mode_changed(struct vcpu *vcpu)
{
    (void)vcpu;
}

void inline_note_space(struct vcpu *vcpu)
{
    (void)vcpu;
}

void inline_note_fence(struct vcpu *vcpu, bool by_address, uint64_t gva)
{
    (void)vcpu, (void)by_address, (void)gva;
}

void inline_restore(struct vcpu *vcpu)
{
    (void)vcpu;
}

void inline_push_page(struct vcpu *vcpu)
{
    (void)vcpu;
}

bool inline_maps(const struct vcpu *vcpu, uint64_t gva, uint64_t *hpa)
{
    (void)vcpu, (void)gva, (void)hpa;
    return false;
}

uint64_t inline_low_entry(const struct vcpu *vcpu)
{
    (void)vcpu;
    return 0;
}

uint32_t inline_form(const struct insn *insn)
{
    (void)insn;
    return 0;
}

uint32_t inline_make(struct vcpu *vcpu, uint64_t pc, const struct insn *insn, const uint8_t *page,
                     uint32_t frame)
{
    (void)vcpu, (void)pc, (void)insn, (void)page, (void)frame;
    return 0;
}

bool inline_is_jump(const struct inlined *inlined, uint32_t word, uint32_t frame, unsigned offset)
{
    (void)inlined, (void)word, (void)frame, (void)offset;
    return false;
}

void inline_free(struct inlined *inlined, struct inline_site *site)
{
    (void)inlined, (void)site;
}
