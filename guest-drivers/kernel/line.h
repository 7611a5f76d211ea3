/* One line of input from the console, edited with the usual keys, and the lines before it. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#define LINE_MAX 256u /* bytes of a line, its end included */

/* Prints the prompt and reads a line into line[LINE_MAX], without its newline. False if Ctrl-C
 * ended it: line is then undefined. A line that is not empty and not the one before is kept for
 * the up and down keys. */
bool line_read(const char *prompt, char *line);

/* A sentence that lists the keys, for a help text. */
extern const char line_keys[];
