/* System calls on files that fail where a test wants it: those of the objects it was linked from. */
#pragma once

#include <stdbool.h>

struct fault {
        int number; /* errno */
        bool stays; /* every later call fails, too */
};

/* Counts from 0; the @step-th call from now on fails, 0: none. A write that fails once is cut short before.
 */
void fault_arm(unsigned step, struct fault fault);
/* How many there were. */
unsigned fault_calls(void);
/* The name of the one that failed first. */
const char *fault_call(void);
