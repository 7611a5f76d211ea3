/*
 * What the test of self-modifying kernels runs in a Linux guest, from system calls alone:
 *
 *   selfmod call N        getppid() N times: what probes and tracers count
 *   selfmod filter N      N messages through a socket with an eBPF filter that counts them in a map
 *   selfmod bpf N SEED    N random eBPF programs, each loaded, run twice by the kernel and by a model
 *                         here, and a hash of what they returned; the last 16 stay loaded meanwhile
 *
 * Linux: UAPI unistd.h, bpf.h; "BPF Instruction Set Architecture" (RFC 9669). The surprise: whether the
 * kernel interprets a program or compiles it (net.core.bpf_jit_enable), the answer must be the same,
 * and with the compiler it is written to pages of kernel code that have just held another program.
 */
#include <stddef.h>
#include <stdint.h>

/* Linux: include/uapi/asm-generic/unistd.h; riscv64 */
#define SYS_CLOSE      57
#define SYS_READ       63
#define SYS_WRITE      64
#define SYS_EXIT       93
#define SYS_GETPPID    173
#define SYS_SOCKETPAIR 199
#define SYS_SETSOCKOPT 208
#define SYS_BPF        280

#define AF_UNIX       1
#define SOCK_DGRAM    2
#define SOL_SOCKET    1
#define SO_ATTACH_BPF 50

#define BPF_MAP_CREATE              0
#define BPF_MAP_LOOKUP_ELEM         1
#define BPF_PROG_LOAD               5
#define BPF_PROG_TEST_RUN           10
#define BPF_MAP_TYPE_ARRAY          2
#define BPF_PROG_TYPE_SOCKET_FILTER 1

_Noreturn void selfmod_main(long *stack);
void *memset(void *to, int value, size_t count);

void *memset(void *to, int value, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ((char *)to)[i] = (char)value;
    return to;
}

static long system_call(long number, long a, long b, long c, long d, long e)
{
    register long a0 __asm__("a0") = a, a1 __asm__("a1") = b, a2 __asm__("a2") = c;
    register long a3 __asm__("a3") = d, a4 __asm__("a4") = e, a7 __asm__("a7") = number;

    __asm__ volatile("ecall" : "+r"(a0) : "r"(a1), "r"(a2), "r"(a3), "r"(a4), "r"(a7) : "memory");
    return a0;
}

static _Noreturn void leave(int status)
{
    for (;;)
        system_call(SYS_EXIT, status, 0, 0, 0, 0);
}

static size_t length_of(const char *text)
{
    size_t length = 0;
    while (text[length])
        length++;
    return length;
}

/* One line: a text and a number. */
static void say(const char *text, uint64_t number)
{
    char line[120];
    char digits[24];
    size_t length = length_of(text), count = 0;
    for (size_t i = 0; i < length; i++)
        line[i] = text[i];
    do
        digits[count++] = (char)('0' + number % 10);
    while (number /= 10);
    while (count)
        line[length++] = digits[--count];
    line[length++] = '\n';
    system_call(SYS_WRITE, 1, (long)line, (long)length, 0, 0);
}

static void require(int good, const char *what, long answer)
{
    if (good)
        return;
    say(what, (uint64_t)(answer < 0 ? -answer : answer));
    leave(1);
}

/* --- eBPF --- */

struct insn {
    uint8_t code, registers; /* destination in the low half, source in the high one */
    int16_t offset;
    int32_t imm;
};

#define ALU64_K  0x07 /* classes with their operand; | operation */
#define ALU64_X  0x0f
#define ALU32_X  0x0c
#define JEQ_K    0x15
#define CALL     0x85
#define EXIT     0x95
#define MOV      0xb0
#define LD_IMM64 0x18
#define ATOMIC64 0xdb
#define STORE32  0x63

#define PROGRAM_MAX 64
struct code {
    struct insn insn[PROGRAM_MAX];
    uint32_t count;
};

static void add(struct code *code, uint8_t op, unsigned to, unsigned from, int offset, int32_t imm)
{
    code->insn[code->count++] = (struct insn){op, (uint8_t)(to | from << 4), (int16_t)offset, imm};
}

/* The first bytes of union bpf_attr, as each command has them. */
union attribute {
    struct {
        uint32_t type, key_size, value_size, entries;
    } create;
    struct {
        uint32_t fd, gap;
        uint64_t key, value;
    } lookup;
    struct {
        uint32_t type, count;
        uint64_t insns, license;
        uint32_t log_level, log_size;
        uint64_t log;
    } load;
    struct {
        uint32_t fd, retval, size_in, size_out;
        uint64_t data_in, data_out;
        uint32_t repeat, duration;
    } test;
    uint64_t words[16];
};

static char log_text[4096];

static long bpf(int command, union attribute *attribute)
{
    return system_call(SYS_BPF, command, (long)attribute, sizeof(*attribute), 0, 0);
}

static long program_load(const struct code *code)
{
    static const char license[] = "GPL";
    union attribute attribute = {.words = {0}};
    attribute.load.type = BPF_PROG_TYPE_SOCKET_FILTER;
    attribute.load.count = code->count;
    attribute.load.insns = (uint64_t)code->insn;
    attribute.load.license = (uint64_t)license;
    attribute.load.log_level = 1;
    attribute.load.log_size = sizeof(log_text);
    attribute.load.log = (uint64_t)log_text;
    long fd = bpf(BPF_PROG_LOAD, &attribute);
    if (fd < 0)
        system_call(SYS_WRITE, 1, (long)log_text, (long)length_of(log_text), 0, 0);
    require(fd >= 0, "FAILED BPF_PROG_LOAD: error ", fd);
    return fd;
}

/* --- Random programs --- */

static uint64_t random_state;

static uint32_t random_next(void)
{
    random_state = random_state * 6364136223846793005ul + 1442695040888963407ul;
    return (uint32_t)(random_state >> 33);
}

/* Operations with a register: add sub or and xor mul (and lsh by a constant). */
static const uint8_t operations[] = {0x00, 0x10, 0x40, 0x50, 0xa0, 0x20};

static uint64_t calculate(uint8_t operation, uint64_t a, uint64_t b)
{
    switch (operation) {
    case 0x00: return a + b;
    case 0x10: return a - b;
    case 0x40: return a | b;
    case 0x50: return a & b;
    case 0xa0: return a ^ b;
    default: return a * b;
    }
}

/* A program, and what it returns: registers 0 to 5 are its variables. */
static uint32_t random_program(struct code *code)
{
    uint64_t value[6];
    code->count = 0;
    for (unsigned i = 0; i < 6; i++) {
        int32_t imm = (int32_t)(random_next() << 1 | (random_next() & 1));
        add(code, ALU64_K | MOV, i, 0, 0, imm);
        value[i] = (uint64_t)(int64_t)imm;
    }
    for (unsigned left = 8 + random_next() % 40; left; left--) {
        unsigned to = random_next() % 6, from = random_next() % 6, kind = random_next() % 4;
        uint8_t operation = operations[random_next() % sizeof(operations)];
        int32_t imm = (int32_t)random_next();
        if (kind == 0) {
            add(code, ALU64_K | operation, to, 0, 0, imm);
            value[to] = calculate(operation, value[to], (uint64_t)(int64_t)imm);
        } else if (kind == 1) {
            add(code, ALU32_X | operation, to, from, 0, 0);
            value[to] = (uint32_t)calculate(operation, value[to], value[from]);
        } else {
            add(code, ALU64_X | operation, to, from, 0, 0);
            value[to] = calculate(operation, value[to], value[from]);
        }
    }
    add(code, EXIT, 0, 0, 0, 0);
    return (uint32_t)value[0];
}

#define KEPT 16
static void run_programs(unsigned count, uint64_t seed)
{
    static const char packet[64] = {1};
    long kept[KEPT];
    uint64_t hash = 0;
    random_state = seed;
    for (unsigned i = 0; i < count; i++) {
        struct code code;
        uint32_t expected = random_program(&code);
        long fd = program_load(&code);
        if (i >= KEPT)
            system_call(SYS_CLOSE, kept[i % KEPT], 0, 0, 0, 0);
        kept[i % KEPT] = fd;
        union attribute attribute = {.words = {0}};
        attribute.test.fd = (uint32_t)fd;
        attribute.test.size_in = sizeof(packet);
        attribute.test.data_in = (uint64_t)packet;
        attribute.test.repeat = 2;
        long answer = bpf(BPF_PROG_TEST_RUN, &attribute);
        require(!answer, "FAILED BPF_PROG_TEST_RUN: error ", answer);
        require(attribute.test.retval == expected,
                "FAILED another result than the model's, program ", i);
        hash = (hash << 5 | hash >> 59) ^ attribute.test.retval;
    }
    say("bpf hash ", hash);
}

/* --- A filter that counts --- */

static long map_create(void)
{
    union attribute attribute = {.words = {0}};
    attribute.create.type = BPF_MAP_TYPE_ARRAY;
    attribute.create.key_size = 4;
    attribute.create.value_size = 8;
    attribute.create.entries = 1;
    long fd = bpf(BPF_MAP_CREATE, &attribute);
    require(fd >= 0, "FAILED BPF_MAP_CREATE: error ", fd);
    return fd;
}

/* map[0]++; all bytes of the message pass. */
static void filter_program(struct code *code, long map)
{
    code->count = 0;
    add(code, STORE32 - 1, 10, 0, -4, 0); /* *(u32 *)(r10 - 4) = 0 */
    add(code, ALU64_X | MOV, 2, 10, 0, 0);
    add(code, ALU64_K, 2, 0, 0, -4);
    add(code, LD_IMM64, 1, 1, 0, (int32_t)map);
    add(code, 0, 0, 0, 0, 0);
    add(code, CALL, 0, 0, 0, 1); /* map_lookup_elem */
    add(code, JEQ_K, 0, 0, 2, 0);
    add(code, ALU64_K | MOV, 1, 0, 0, 1);
    add(code, ATOMIC64, 0, 1, 0, 0);
    add(code, ALU64_K | MOV, 0, 0, 0, 65535);
    add(code, EXIT, 0, 0, 0, 0);
}

static void run_filter(unsigned count)
{
    struct code code;
    int ends[2];
    char message[8] = "counted";
    long map = map_create();
    filter_program(&code, map);
    int program = (int)program_load(&code);
    long answer = system_call(SYS_SOCKETPAIR, AF_UNIX, SOCK_DGRAM, 0, (long)ends, 0);
    require(!answer, "FAILED socketpair: error ", answer);
    answer = system_call(SYS_SETSOCKOPT, ends[1], SOL_SOCKET, SO_ATTACH_BPF, (long)&program,
                         sizeof(program));
    require(!answer, "FAILED SO_ATTACH_BPF: error ", answer);
    for (unsigned i = 0; i < count; i++) {
        answer = system_call(SYS_WRITE, ends[0], (long)message, sizeof(message), 0, 0);
        require(answer == sizeof(message), "FAILED write: ", answer);
        answer = system_call(SYS_READ, ends[1], (long)message, sizeof(message), 0, 0);
        require(answer == sizeof(message), "FAILED read: ", answer);
    }
    uint32_t key = 0;
    uint64_t value = 0;
    union attribute attribute = {.words = {0}};
    attribute.lookup.fd = (uint32_t)map;
    attribute.lookup.key = (uint64_t)&key;
    attribute.lookup.value = (uint64_t)&value;
    answer = bpf(BPF_MAP_LOOKUP_ELEM, &attribute);
    require(!answer, "FAILED BPF_MAP_LOOKUP_ELEM: error ", answer);
    say("bpf filter counted ", value);
}

/* --- The command line --- */

static uint64_t number_of(const char *text)
{
    uint64_t value = 0;
    for (; *text >= '0' && *text <= '9'; text++)
        value = value * 10 + (uint64_t)(*text - '0');
    return value;
}

__attribute__((naked, used)) void _start(void);
void _start(void)
{
    __asm__(".option push\n.option norelax\nla gp, __global_pointer$\n.option pop\n"
            "mv a0, sp\nandi sp, sp, -16\ncall selfmod_main");
}

/* stack: argc, argv[] as Linux leaves them. */
_Noreturn void selfmod_main(long *stack)
{
    long count = stack[0];
    char **arguments = (char **)&stack[1];
    require(count >= 3, "usage: selfmod call|filter|bpf N [SEED], not arguments ", count - 1);
    uint64_t number = number_of(arguments[2]);
    switch (arguments[1][0]) {
    case 'c':
        while (number--)
            system_call(SYS_GETPPID, 0, 0, 0, 0, 0);
        break;
    case 'f': run_filter((unsigned)number); break;
    default: run_programs((unsigned)number, count > 3 ? number_of(arguments[3]) : 1);
    }
    leave(0);
}
