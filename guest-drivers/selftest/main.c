/*
 * selftest: what a guest can see of its hart and board, one line per check.
 *
 * The output must be the same byte for byte on the bare machine and under every strategy and patch
 * level of the VMM, so no line has a time, a counter or an address that may differ. Where the
 * specification leaves the platform a choice, or QEMU deviates from the specification, the check
 * takes each right answer and says so. Where versions of QEMU or of its firmware differ, the line
 * names the version whose answer was given.
 */
#include <stdio.h>
#include <string.h>

#include "harness.h"
#include "kernel.h"
#include "make.h"
#include "selftest.h"

static const struct subject *const subjects[] = {
    &csr_subject,        &warl_subject,   &trap_subject,   &sret_subject,  &interrupt_subject,
    &permission_subject, &paging_subject, &marks_subject,  &fence_subject, &satp_subject,
    &code_subject,       &alias_subject,  &mmio_subject,   &fp_subject,    &timer_subject,
    &sbi_subject,        &plic_subject,   &irq_subject,    &dead_subject,  &where_subject,
    &text_subject,       &async_subject,  &window_subject,
};

unsigned harness_effort = 1;
static unsigned passed, failed;

static void run_snippet(const void *argument)
{
    harness_snippet(argument);
}

static void run_check(const void *argument)
{
    const struct check *check = argument;
    check->test();
}

static void report(const char *name, bool ok)
{
    if (ok) {
        passed++;
        if (harness_answer())
            printf("%s: ok, as %s\n", name, harness_answer());
        else
            printf("%s: ok\n", name);
    } else {
        failed++;
        printf("%s: FAIL %s\n", name, harness_failure());
    }
}

static bool wanted(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

static void run_subject(const struct subject *subject, const char *prefix)
{
    for (unsigned i = 0; i < subject->snippet_count; i++) {
        const struct snippet *snippet = &subject->snippets[i];
        if (wanted(snippet->name, prefix))
            report(snippet->name, harness_check(run_snippet, snippet));
    }
    for (unsigned i = 0; i < subject->check_count; i++) {
        const struct check *check = &subject->checks[i];
        if (wanted(check->name, prefix))
            report(check->name, harness_check(run_check, check));
    }
}

int selftest_main(const char *prefix, unsigned effort)
{
    harness_effort = effort;
    passed = failed = 0;
    make_reset();
    for (unsigned i = 0; i < COUNT(subjects); i++)
        run_subject(subjects[i], prefix ? prefix : "");
    printf("selftest: %u passed, %u failed\n", passed, failed);
    return (int)failed;
}
