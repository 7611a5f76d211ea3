/*
 * The guest's programs: what the rows of the shell's table run (struct shell_command says what is
 * passed), and what the programs share.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

int command_bench(int count, char **arguments);
int command_disk(int count, char **arguments);
int command_disktest(int count, char **arguments);
int command_echo(int count, char **arguments);
int command_hostile(int count, char **arguments);
int command_mem(int count, char **arguments);
int command_poweroff(int count, char **arguments);
int command_reboot(int count, char **arguments);
int command_regs(int count, char **arguments);
int command_sleep(int count, char **arguments);
int command_trace(int count, char **arguments);
int command_uarttest(int count, char **arguments);

/* The decimal or 0x number that text is, in *value. False if it is none or above max: a sentence
 * that calls it `what` is printed then. */
bool program_number(const char *what, const char *text, uint64_t max, uint64_t *value);

/* The disk; null if the machine has none: a sentence that says so is printed then. */
struct disk *program_disk(void);
