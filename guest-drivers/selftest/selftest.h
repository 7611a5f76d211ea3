/* What the shell runs of the selftest. */
#pragma once

/* Runs the checks whose name begins with prefix ("" for all); the number that failed. effort: how
 * many cases of those checks that make their own cases, 1 to 10. */
int selftest_main(const char *prefix, unsigned effort);

/* Prints what a guest can see of PATCH=inline; 0. */
int differences_main(void);
