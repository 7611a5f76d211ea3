/* The host's device tree read, and the guest's made from it: every node, and dtc's own opinion. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <libfdt.h>

#include "board/tree.h"
#include "host/io.h"
#include "host/log.h"
#include "host/machine.h"
#include "host/virtio.h"
#include "host/map.h"
#include "vm/vm.h"

/* --- What the modules ask of the rest --- */

static char said[256];

void host_log(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(said, sizeof(said), format, arguments);
    va_end(arguments);
}

uint64_t io_time(void)
{
    return 0;
}

uint64_t io_instret(void)
{
    return 0;
}

uint32_t virtio_device_id(uintptr_t registers)
{
    return registers == 0x10002000 ? VIRTIO_ID_BLOCK : 0;
}

/* --- The machine --- */

static const char machine_source[] =
    "/dts-v1/;\n"
    "/ { #address-cells = <2>; #size-cells = <2>;\n"
    "  chosen { rng-seed = <1 2 3 4>; };\n"
    "  memory@80000000 { device_type = \"memory\"; reg = <0 0x80000000 0 0x22000000>; };\n"
    "  reserved-memory { #address-cells = <2>; #size-cells = <2>; ranges;\n"
    "    mmode_resv1@80000000 { reg = <0 0x80000000 0 0x40000>; no-map; };\n"
    "    mmode_resv0@80040000 { reg = <0 0x80040000 0 0x20000>; no-map; };\n"
    "    other@a1f00000 { reg = <0 0xa1f00000 0 0x100000>; no-map; }; };\n"
    "  cpus { #address-cells = <1>; #size-cells = <0>; timebase-frequency = <10000000>;\n"
    "    cpu@0 { device_type = \"cpu\"; reg = <0>; compatible = \"riscv\";\n"
    "      riscv,isa = \"rv64imafdch_zicbom_zicboz_zicntr_zihpm_zba_shtvala_sstc_svadu_svpbmt\";\n"
    "      riscv,cbom-block-size = <64>; riscv,cboz-block-size = <64>;\n"
    "      riscv,cbop-block-size = <64>; mmu-type = \"riscv,sv57\";\n"
    "      intc: interrupt-controller { #interrupt-cells = <1>; interrupt-controller;\n"
    "        compatible = \"riscv,cpu-intc\"; }; }; };\n"
    "  fw-cfg@10100000 { compatible = \"qemu,fw-cfg-mmio\"; reg = <0 0x10100000 0 0x18>; };\n"
    "  soc { #address-cells = <2>; #size-cells = <2>; compatible = \"simple-bus\"; ranges;\n"
    "    serial@10000000 { compatible = \"ns16550a\"; reg = <0 0x10000000 0 0x100>;\n"
    "      interrupts = <10>; interrupt-parent = <&plic>; };\n"
    "    test@100000 { compatible = \"sifive,test1\", \"syscon\"; reg = <0 0x100000 0 0x1000>; };\n"
    "    rtc@101000 { compatible = \"google,goldfish-rtc\"; reg = <0 0x101000 0 0x1000>;\n"
    "      interrupts = <11>; interrupt-parent = <&plic>; };\n"
    "    virtio_mmio@10002000 { compatible = \"virtio,mmio\"; reg = <0 0x10002000 0 0x1000>;\n"
    "      interrupts = <2>; interrupt-parent = <&plic>; };\n"
    "    virtio_mmio@10001000 { compatible = \"virtio,mmio\"; reg = <0 0x10001000 0 0x1000>;\n"
    "      interrupts = <1>; interrupt-parent = <&plic>; };\n"
    "    plic: plic@c000000 { compatible = \"sifive,plic-1.0.0\", \"riscv,plic0\";\n"
    "      reg = <0 0xc000000 0 0x600000>; riscv,ndev = <95>; interrupt-controller;\n"
    "      #interrupt-cells = <1>; #address-cells = <0>;\n"
    "      interrupts-extended = <&intc 11 &intc 9>; }; }; };\n";

struct bench {
    uint8_t machine[16384]; /* the host's tree */
    uint8_t tree[16384];    /* the guest's */
    struct host host;
    struct vm vm;
    struct vcpu vcpu;
};

/* Runs dtc from one format to another; its complaints are in the third file. */
static void run_dtc(const char *options, const char *from, const char *to, const char *complaints)
{
    char command[512];
    snprintf(command, sizeof(command), "dtc %s -o %s %s 2> %s", options, to, from, complaints);
    assert_int_equal(system(command), 0);
}

static size_t read_file(const char *path, void *bytes, size_t size)
{
    FILE *file = fopen(path, "rb");
    size_t len;
    assert_non_null(file);
    len = fread(bytes, 1, size, file);
    fclose(file);
    return len;
}

static void write_file(const char *path, const void *bytes, size_t len)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    fclose(file);
}

/* A private folder with three files: a, b and c. */
struct folder {
    char name[32], a[40], b[40], c[40];
};

static struct folder make_folder(void)
{
    struct folder folder = {.name = "/tmp/test_tree.XXXXXX"};
    assert_non_null(mkdtemp(folder.name));
    snprintf(folder.a, sizeof(folder.a), "%s/a", folder.name);
    snprintf(folder.b, sizeof(folder.b), "%s/b", folder.name);
    snprintf(folder.c, sizeof(folder.c), "%s/c", folder.name);
    return folder;
}

static void remove_folder(const struct folder *folder)
{
    unlink(folder->a);
    unlink(folder->b);
    unlink(folder->c);
    rmdir(folder->name);
}

static const struct device_property uart_properties[] = {{"clock-frequency", 3686400}, {NULL, 0}};
static const struct device_property ata_properties[] = {{"reg-shift", 2}, {NULL, 0}};
static const struct strategy uart = {.name = "emulated/uart",
                                     .compatible = "ns16550a",
                                     .node = "serial",
                                     .properties = uart_properties,
                                     .size = 0x1000};
static const struct strategy ata = {.name = "emulated/ata",
                                    .compatible = "ata-generic",
                                    .node = "ide",
                                    .properties = ata_properties,
                                    .size = 0x1000};

static int setup(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    struct folder folder = make_folder();
    write_file(folder.a, machine_source, strlen(machine_source));
    run_dtc("-q -I dts -O dtb", folder.a, folder.b, folder.c);
    read_file(folder.b, bench->machine, sizeof(bench->machine));
    remove_folder(&folder);
    assert_int_equal(host_probe(&bench->host, bench->machine), 0);
    bench->vm.vcpus[0] = &bench->vcpu;
    bench->vm.ram = (struct vm_ram_range){.gpa = 0x80000000, .size = 0x20000000};
    bench->vm.device[0] = (struct device){
        .strategy = &uart, .name = "uart", .base = 0x10000000, .irq = 10};
    bench->vm.device[1] = (struct device){
        .strategy = &ata, .name = "disk", .base = 0x10020000, .irq = 13};
    bench->vm.devices = 2;
    *state = bench;
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static const struct tree_config config = {
    .bootargs = "console=ttyS0 run=help; poweroff",
    .initrd_gpa = 0x88000000,
    .initrd_size = 0x12345,
    .mmu_levels = 3,
};

static const void *build(struct bench *bench)
{
    int size = tree_build(&bench->vm, &bench->host, &config, bench->tree, sizeof(bench->tree));
    assert_true(size > 0);
    assert_int_equal(size, fdt_totalsize(bench->tree));
    return bench->tree;
}

static uint32_t cell(const void *fdt, const char *path, const char *name, unsigned i)
{
    int len;
    const fdt32_t *cells = fdt_getprop(fdt, fdt_path_offset(fdt, path), name, &len);
    assert_non_null(cells);
    assert_true(len >= (int)(4 * (i + 1)));
    return fdt32_to_cpu(cells[i]);
}

static void assert_text(const void *fdt, const char *path, const char *name, const char *text)
{
    const char *seen = fdt_getprop(fdt, fdt_path_offset(fdt, path), name, NULL);
    assert_non_null(seen);
    assert_string_equal(seen, text);
}

/* --- Tests --- */

static void probe_facts(void **state)
{
    struct host *host = &((struct bench *)*state)->host;
    assert_int_equal(host->ram_hpa, 0x80000000);
    assert_int_equal(host->ram_size, 0x22000000);
    assert_int_equal(host->firmware_end, 0x80060000);
    assert_int_equal(host->uart.hpa, 0x10000000);
    assert_int_equal(host->uart.irq, 10);
    assert_int_equal(host->rtc.hpa, 0x101000);
    assert_int_equal(host->rtc.irq, 11);
    assert_int_equal(host->plic_context, 1);
    assert_int_equal(host->plic_sources, 95);
    assert_int_equal(host->fwcfg_hpa, 0x10100000);
    assert_int_equal(host->finisher_hpa, 0x100000);
    assert_int_equal(host->timebase, 10000000);
    assert_int_equal(host->mmu_levels, 5);
    assert_int_equal(host->virtios, 2);
    assert_int_equal(host->virtio[0].hpa, 0x10001000);
    assert_int_equal(host->virtio[1].hpa, 0x10002000);
    assert_ptr_equal(host_find_virtio(host, VIRTIO_ID_BLOCK), &host->virtio[1]);
    assert_null(host_find_virtio(host, VIRTIO_ID_CONSOLE));
}

/* Each of these nodes is needed: without it there is an error and a sentence. */
static void probe_without(void **state)
{
    static const char *const paths[] = {"/memory@80000000", "/cpus/cpu@0", "/soc/plic@c000000",
                                        "/soc/serial@10000000", "/soc/test@100000"};
    struct bench *bench = *state;
    for (unsigned i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        memcpy(bench->tree, bench->machine, sizeof(bench->tree));
        assert_int_equal(fdt_nop_node(bench->tree, fdt_path_offset(bench->tree, paths[i])), 0);
        said[0] = 0;
        assert_true(host_probe(&bench->host, bench->tree) < 0);
        assert_true(strlen(said) > 20);
    }
    memset(bench->tree, 0, sizeof(bench->tree));
    assert_true(host_probe(&bench->host, bench->tree) < 0);
}

/* More slots than fit: an error that names the table, and nothing behind its end is written. */
static void probe_many_slots(void **state)
{
    struct bench *bench = *state;
    char name[32];
    assert_int_equal(fdt_open_into(bench->machine, bench->tree, sizeof(bench->tree)), 0);
    for (unsigned slot = 2; slot <= HOST_VIRTIO_SLOTS; slot++) {
        int node = fdt_path_offset(bench->tree, "/soc");
        said[0] = 0;
        assert_int_equal(host_probe(&bench->host, bench->tree), 0);
        assert_int_equal(bench->host.virtios, slot);
        snprintf(name, sizeof(name), "virtio_mmio@%x", 0x10001000 + 0x1000 * slot);
        node = fdt_add_subnode(bench->tree, node, name);
        assert_true(node > 0);
        assert_int_equal(fdt_setprop_string(bench->tree, node, "compatible", "virtio,mmio"), 0);
    }
    assert_int_equal(host_probe(&bench->host, bench->tree), -ENOSPC);
    assert_non_null(strstr(said, "HOST_VIRTIO_SLOTS"));
}

static void chosen(void **state)
{
    const void *fdt = build(*state);
    assert_text(fdt, "/chosen", "bootargs", config.bootargs);
    assert_int_equal(cell(fdt, "/chosen", "linux,initrd-start", 1), 0x88000000);
    assert_int_equal(cell(fdt, "/chosen", "linux,initrd-end", 1), 0x88012345);
    assert_text(fdt, "/chosen", "stdout-path", "/soc/serial@10000000");
    assert_text(fdt, "/aliases", "serial0", "/soc/serial@10000000");
    assert_int_equal(cell(fdt, "/chosen", "rng-seed", 3), 4);
}

static void memory(void **state)
{
    const void *fdt = build(*state);
    int node = fdt_path_offset(fdt, "/reserved-memory/mmode_resv0@80040000");
    assert_int_equal(cell(fdt, "/memory@80000000", "reg", 1), 0x80000000);
    assert_int_equal(cell(fdt, "/memory@80000000", "reg", 3), 0x20000000);
    assert_true(node > 0);
    assert_non_null(fdt_getprop(fdt, node, "no-map", NULL));
    assert_true(fdt_path_offset(fdt, "/reserved-memory/mmode_resv1@80000000") > 0);
    assert_true(fdt_path_offset(fdt, "/reserved-memory/other@a1f00000") < 0);
}

static void isa(void **state)
{
    static const char list[] = "i\0m\0a\0f\0d\0c\0zicbom\0zicboz\0zicntr\0zba\0sstc\0svadu";
    const void *fdt = build(*state);
    int len;
    const char *seen = fdt_getprop(fdt, fdt_path_offset(fdt, "/cpus/cpu@0"), "riscv,isa-extensions",
                                   &len);
    assert_text(fdt, "/cpus/cpu@0", "riscv,isa", "rv64imafdc_zicbom_zicboz_zicntr_zba_sstc_svadu");
    assert_text(fdt, "/cpus/cpu@0", "riscv,isa-base", "rv64i");
    assert_int_equal(len, sizeof(list));
    assert_memory_equal(seen, list, sizeof(list));
    assert_text(fdt, "/cpus/cpu@0", "mmu-type", "riscv,sv39");
    assert_int_equal(cell(fdt, "/cpus/cpu@0", "riscv,cbom-block-size", 0), 64);
    assert_true(fdt_getprop(fdt, fdt_path_offset(fdt, "/cpus/cpu@0"), "riscv,cbop-block-size",
                            NULL) == NULL);
}

static void board(void **state)
{
    const void *fdt = build(*state);
    uint32_t intc = cell(fdt, "/cpus/cpu@0/interrupt-controller", "phandle", 0);
    uint32_t plic = cell(fdt, "/soc/plic@c000000", "phandle", 0);
    assert_int_equal(cell(fdt, "/soc/plic@c000000", "riscv,ndev", 0), 95);
    assert_int_equal(cell(fdt, "/soc/plic@c000000", "interrupts-extended", 0), intc);
    assert_int_equal(cell(fdt, "/soc/plic@c000000", "interrupts-extended", 3), 9);
    assert_int_equal(cell(fdt, "/soc/serial@10000000", "interrupts", 0), 10);
    assert_int_equal(cell(fdt, "/soc/serial@10000000", "interrupt-parent", 0), plic);
    assert_int_equal(cell(fdt, "/soc/serial@10000000", "clock-frequency", 0), 3686400);
    assert_int_equal(cell(fdt, "/soc/ide@10020000", "reg", 1), 0x10020000);
    assert_int_equal(cell(fdt, "/soc/ide@10020000", "reg", 5), 0x10020100);
    assert_int_equal(cell(fdt, "/soc/ide@10020000", "reg-shift", 0), 2);
    assert_text(fdt, "/soc/rtc@101000", "compatible", "google,goldfish-rtc");
    assert_int_equal(cell(fdt, "/soc/rtc@101000", "reg", 1), 0x101000);
    assert_int_equal(cell(fdt, "/soc/rtc@101000", "interrupts", 0), 11);
    assert_int_equal(cell(fdt, "/soc/rtc@101000", "interrupt-parent", 0), plic);
    assert_int_equal(cell(fdt, "/poweroff", "value", 0), 0x5555);
    assert_int_equal(cell(fdt, "/poweroff", "regmap", 0),
                     cell(fdt, "/soc/test@100000", "phandle", 0));
}

/* A buffer of any smaller size: an error, and nothing behind its end is written. */
static void no_room(void **state)
{
    struct bench *bench = *state;
    size_t size = fdt_totalsize(build(bench));
    for (size_t room = 0; room < size; room += 16) {
        uint8_t *buffer = malloc(room + 1); /* the address sanitizer watches its end */
        buffer[room] = 0xa5;
        assert_true(tree_build(&bench->vm, &bench->host, &config, buffer, room) < 0);
        assert_int_equal(buffer[room], 0xa5);
        free(buffer);
    }
}

/* dtc reads it and has nothing to complain about. */
static void dtc_accepts(void **state)
{
    struct bench *bench = *state;
    struct folder folder = make_folder();
    char complaints[4096];
    size_t len;
    write_file(folder.a, bench->tree, fdt_totalsize(build(bench)));
    run_dtc("-I dtb -O dts", folder.a, folder.b, folder.c);
    len = read_file(folder.c, complaints, sizeof(complaints) - 1);
    complaints[len] = 0;
    assert_string_equal(complaints, "");
    remove_folder(&folder);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(probe_facts), TEST(probe_without), TEST(probe_many_slots),
        TEST(chosen),      TEST(memory),        TEST(isa),
        TEST(board),       TEST(no_room),       TEST(dtc_accepts),
    };
    return cmocka_run_group_tests_name("device tree", tests, NULL, NULL);
}
