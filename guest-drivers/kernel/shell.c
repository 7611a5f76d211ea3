/*
 * The shell: it runs command lines from the console, or the script that run= gives.
 *
 * It knows no command by name: programs/programs.c has the table.
 */
#include "kernel.h"
#include "line.h"
#include "shell.h"

#define WORDS_MAX 16

static bool failed; /* some command of the script did */
static bool in_script;

bool shell_script_failed(void)
{
    return in_script && failed;
}

/* Runs one command line; 0, or the command's failing status. */
static int run_line(char *line)
{
    char *words[WORDS_MAX], *rest = NULL;
    int count = 0;
    for (char *word = strtok_r(line, " \t", &rest); word; word = strtok_r(NULL, " \t", &rest)) {
        if (count == WORDS_MAX) {
            printf("A command has at most %d words.\n", WORDS_MAX);
            return 1;
        }
        words[count++] = word;
    }
    if (count == 0)
        return 0;
    console_interrupt_clear();
    for (const struct shell_command *at = shell_commands; at->name; at++) {
        if (strcmp(words[0], at->name) == 0) {
            int status = at->run(count, words);
            trap_trace_print();
            return status;
        }
    }
    printf("%s: unknown command; 'help' lists them.\n", words[0]);
    return 1;
}

void shell_script(const char *script)
{
    in_script = true;
    while (*script) {
        while (*script == ' ' || *script == ';')
            script++;
        char line[LINE_MAX];
        size_t len = strcspn(script, ";");
        size_t copied = len < LINE_MAX ? len : LINE_MAX - 1;
        memcpy(line, script, copied);
        script += len;
        while (copied > 0 && line[copied - 1] == ' ')
            copied--;
        line[copied] = '\0';
        if (copied == 0)
            continue;
        printf("# %s\n", line);
        if (len >= LINE_MAX) {
            printf("A command has at most %u characters.\n", LINE_MAX - 1);
            failed = true;
            continue;
        }
        int status = run_line(line);
        if (status != 0) {
            printf("shell: '%.*s' ended with status %d\n", (int)copied, script - len, status);
            failed = true;
        }
    }
    machine_poweroff(failed ? 1 : 0);
}

void shell_interactive(void)
{
    printf("Type 'help' for the commands.\n");
    for (;;) {
        char line[LINE_MAX];
        console_interrupt_clear();
        if (line_read("trident> ", line))
            run_line(line);
    }
}
