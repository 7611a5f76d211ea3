/* Checked access to guest RAM for devices, the page walk and the SBI. Contracts in device.h. */
#include "device.h"
#include "host/map.h"
#include "vm/engine.h"
#include "vm/vm.h"

void *vm_ram(struct vm *vm, uint64_t gpa, uint64_t len)
{
    uint64_t end = vm->ram.gpa + vm->ram.size;
    if (len == 0 || gpa < vm->ram.first || gpa >= end || len > end - gpa)
        return NULL;
    return map_hpa(gpa + vm->ram.hpa_offset);
}

void *vm_ram_for_write(struct vm *vm, uint64_t gpa, uint64_t len)
{
    void *bytes = vm_ram(vm, gpa, len);
    if (bytes)
        vm->engine->ram_written(vm, gpa, len);
    return bytes;
}

void vm_ram_written(struct vm *vm, const void *bytes, uint64_t len)
{
    uint64_t gpa = map_pointer_hpa(bytes) - vm->ram.hpa_offset;
    if (vm_ram(vm, gpa, len))
        vm->engine->ram_written(vm, gpa, len);
}
