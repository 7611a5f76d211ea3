/* opt/org.trident/options: one key=value per line. Runs before paging and after. */
#include "options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "board/board.h"
#include "engine/trap/shadow.h"
#include "host/fwcfg.h"
#include "host/log.h"
#include "host/machine.h"
#include "host/map.h"

#define OPTIONS_SIZE 512u

struct choice {
    const char *word;
    int value;
};

static const struct choice ways[] = {{"emulated", WAY_EMULATED},
                                     {"virtio", WAY_VIRTIO},
                                     {"passthrough", WAY_PASSTHROUGH},
                                     {NULL, 0}};
static const struct choice switches[] = {{"0", false}, {"1", true}, {NULL, 0}};
static const struct choice levels[] = {{"off", PATCH_OFF},
                                       {"ecall", PATCH_ECALL},
                                       {"cluster", PATCH_CLUSTER},
                                       {"inline", PATCH_INLINE},
                                       {NULL, 0}};

static const struct choice plics[] = {
    {"emulated", PLIC_EMULATED}, {"mapped", PLIC_MAPPED}, {NULL, 0}};
static const struct choice ablations[] = {{"coalesce", ABLATE_COALESCE}, {"notify", ABLATE_NOTIFY},
                                          {"batch", ABLATE_BATCH},       {"copy", ABLATE_COPY},
                                          {"queue", ABLATE_QUEUE},       {NULL, 0}};

static int choose(const struct choice *choices, const char *key, const char *word, int *value)
{
    for (; choices->word; choices++) {
        if (strcmp(choices->word, word) == 0) {
            *value = choices->value;
            return 0;
        }
    }
    host_log("option %s=%s: no such value", key, word);
    return -EINVAL;
}

/* A comma list of the choices' words, or none. */
static int parse_set(const struct choice *choices, const char *key, char *word, unsigned *set)
{
    *set = 0;
    while (strcmp(word, "none") != 0 && *word) {
        char *end = word + strcspn(word, ",");
        char *next = *end ? end + 1 : end;
        int value, status;
        *end = '\0';
        status = choose(choices, key, word, &value);
        if (status < 0)
            return status;
        *set |= (unsigned)value;
        word = next;
    }
    return 0;
}

static int parse_number(const char *key, const char *word, uint64_t *number)
{
    const char *digit = word;
    *number = 0;
    for (; *digit >= '0' && *digit <= '9' && *number < 1ul << 48; digit++)
        *number = *number * 10 + (uint64_t)(*digit - '0');
    if (*digit == '\0' && digit != word)
        return 0;
    host_log("option %s=%s: a number is expected", key, word);
    return -EINVAL;
}

/* A list of the switches that are on, separated by commas; empty: none. */
static int parse_shadow(char *words, unsigned *shadow)
{
    *shadow = 0;
    for (char *word = words; *word;) {
        char *end = word + strcspn(word, ",");
        char *next = *end ? end + 1 : end;
        *end = '\0';
        unsigned i = 0;
        while (shadow_switch_names[i] && strcmp(shadow_switch_names[i], word) != 0)
            i++;
        if (!shadow_switch_names[i]) {
            host_log("option shadow: there is no switch '%s'", word);
            return -EINVAL;
        }
        *shadow |= 1u << i;
        word = next;
    }
    return 0;
}

/* Which of the emulated devices of a role: by its name. */
static int parse_model(const char *const *models, const char *key, const char *word,
                       unsigned *model)
{
    for (unsigned i = 0; models && models[i]; i++) {
        if (strcmp(models[i], word) == 0) {
            *model = i;
            return 0;
        }
    }
    host_log("option %s=%s: no such value", key, word);
    return -EINVAL;
}

/* "ROLE=way" or "ROLE_model=name". 1: the key is none of them. */
static int parse_role(struct vm_options *options, const char *key, const char *word)
{
    for (unsigned i = 0; i < VM_ROLES; i++) {
        size_t len = strlen(board_roles[i]);
        int value = 0, status;
        if (strncmp(board_roles[i], key, len) != 0)
            continue;
        if (strcmp(key + len, "_model") == 0)
            return parse_model(board_models[i], key, word, &options->model[i]);
        if (key[len])
            continue;
        status = choose(ways, key, word, &value);
        options->way[i] = (enum device_way)value;
        return status;
    }
    return 1;
}

static int parse_line(struct vm_options *options, const char *key, char *word)
{
    int value = 0, status = parse_role(options, key, word);
    if (status <= 0)
        return status;
    if (strcmp(key, "mem") == 0)
        return parse_number(key, word, &options->mem);
    if (strcmp(key, "trace") == 0)
        return parse_number(key, word, &options->trace);
    if (strcmp(key, "shadow") == 0)
        return parse_shadow(word, &options->shadow);
    if (strcmp(key, "times") == 0) {
        status = choose(switches, key, word, &value);
        options->times = value;
    } else if (strcmp(key, "watch") == 0) {
        status = choose(switches, key, word, &value);
        options->watch = value;
    } else if (strcmp(key, "eager") == 0) {
        status = choose(switches, key, word, &value);
        options->eager = value;
    } else if (strcmp(key, "plic") == 0) {
        status = choose(plics, key, word, &value);
        options->plic = (unsigned)value;
    } else if (strcmp(key, "ablate") == 0) {
        status = parse_set(ablations, key, word, &options->ablate);
    } else if (strcmp(key, "patch") == 0) {
        status = choose(levels, key, word, &value);
        options->patch = (enum patch_level)value;
    } else {
        host_log("option %s: no such option", key);
        status = -EINVAL;
    }
    return status;
}

int options_read(const struct host *host, struct vm_options *options)
{
    char text[OPTIONS_SIZE];
    struct fwcfg_file file;
    void *fwcfg = map_hpa(host->fwcfg_hpa);
    *options = (struct vm_options){
        .mem = 512ul << 20,
        .way = {WAY_VIRTIO, WAY_VIRTIO},
        .patch = PATCH_INLINE,
        .shadow = SWITCH_ALL,
    };
    if (!host->fwcfg_hpa || fwcfg_check(fwcfg) < 0) {
        host_log("the machine has no fw_cfg device: start Trident through make qemu");
        return -ENODEV;
    }
    if (fwcfg_find(fwcfg, "opt/org.trident/options", &file) < 0)
        return 0;
    if (file.size >= sizeof(text) || fwcfg_read(fwcfg, &file, 0, text, file.size) < 0) {
        host_log("opt/org.trident/options cannot be read, or is longer than %u bytes",
                 OPTIONS_SIZE);
        return -EIO;
    }
    text[file.size] = '\0';
    for (char *line = text; *line;) {
        char *end = line + strcspn(line, "\n");
        char *next = *end ? end + 1 : end;
        *end = '\0';
        char *equals = strchr(line, '=');
        if (equals) {
            *equals = '\0';
            if (parse_line(options, line, equals + 1) < 0)
                return -EINVAL;
        } else if (*line) {
            host_log("option '%s': key=value is expected", line);
            return -EINVAL;
        }
        line = next;
    }
    return 0;
}
