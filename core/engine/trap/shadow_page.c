/*
 * Shadow page tables: one leaf, from what the guest's tables say and what a root may show.
 *
 * Surprise: the size of a guest's leaf does not decide the shadow's: a superpage that holds patched
 * code, or does not lie wholly in RAM, becomes single pages.
 */
#include "engine/trap/patch.h"
#include "engine/trap/shadow_internal.h"
#include "host/map.h"

/* The largest page, not above limit, that lies wholly in RAM around gpa and holds
 * no patched code. */
static unsigned ram_level(const struct vm *vm, uint64_t gpa, unsigned limit)
{
    if (!shadow_is_on(vm, SWITCH_SUPERPAGES))
        return 0;
    for (unsigned level = limit < 2 ? limit : 2; level > 0; level--) {
        uint64_t size = 1ul << (PAGE_SHIFT + 9 * level);
        uint64_t begin = gpa & -size;
        if (begin < vm->ram.first || begin + size > vm->ram.gpa + vm->ram.size)
            continue;
        uint64_t block = (begin - vm->ram.gpa) >> 21;
        bool patched = false;
        for (uint64_t i = 0; i < size >> 21; i++)
            patched |= shadow_of(vm)->block_patches[block + i] != 0;
        if (!patched)
            return level;
    }
    return 0;
}

bool shadow_make_page(struct vm *vm, const struct shadow_lens *lens, uint64_t gva,
                      const struct walk *walk, struct shadow_page *page)
{
    uint64_t bits = shadow_rights(lens, walk->pte);
    uint64_t hpa = walk->gpa + vm->ram.hpa_offset;
    bool ram = vm_is_ram(vm, walk->gpa);
    unsigned level = 0;
    if (!ram) {
        const struct shadow_mapping *mapping = shadow_mapping_at(shadow_of(vm), walk->gpa);
        hpa = walk->gpa - mapping->gpa + mapping->hpa;
        bits &= ~PTE_COUNTED;
    } else {
        level = ram_level(vm, walk->gpa, walk->level);
        uint64_t frame = shadow_frame(vm, walk->gpa);
        bool kernel = lens->view != VIEW_USER;
        uint16_t copy = shadow_of(vm)->patch[frame];
        if (copy && kernel && (bits & PTE_X)) {
            patch_bind(vm, frame, gva);
            hpa = map_pointer_hpa(shadow_of(vm)->pool.base) + ((uint64_t)(copy - 1) << PAGE_SHIFT);
            bits = PTE_X | PTE_PATCHED;
        } else if (copy) {
            bits &= ~(PTE_W | PTE_COUNTED);
        }
    }
    if (!(bits & (PTE_R | PTE_X)))
        return false;
    uint64_t page_mask = (1ul << (PAGE_SHIFT + 9 * level)) - 1;
    *page = (struct shadow_page){
        .gva = gva & ~page_mask,
        .pte = (hpa & ~page_mask) >> PAGE_SHIFT << PTE_PPN_SHIFT | bits | PTE_V | PTE_U | PTE_A |
               PTE_D,
        .guest_pte = walk->pte,
        .level = level,
        .guest_level = walk->level > level ? walk->level : 0,
        .global = walk->global && !(walk->pte & PTE_U),
    };
    return true;
}
