/*
 * The shell's side of a command. The shell knows no command by name: programs/programs.c has the
 * table, and the programs.
 */
#pragma once
#include <stdbool.h>

/* One row of the table of commands. */
struct shell_command {
    const char *name, *usage, *help;
    /* arguments[0] is the command's name, count at least 1. 0: success; else a script fails. */
    int (*run)(int count, char **arguments);
};

/* The table of commands; it ends with a row without a name. */
extern const struct shell_command shell_commands[];

/* Whether a command of the script that runs has failed; false where none runs. */
bool shell_script_failed(void);
