/* What every unit test needs: cmocka and a check that a failure is whole (code, sentence, remedy). */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"

#define expect_ok(call)                                                                                      \
        do {                                                                                                 \
                enum err r_ = (call);                                                                        \
                if (r_ != ERR_OK)                                                                            \
                        fail_msg("%s: %s", err_name(r_), e.message);                                         \
        } while (0)

/* The call fails with @wanted, says what happened and what to do. The struct error of the test is called e.
 */
#define expect_err(call, wanted)                                                                             \
        do {                                                                                                 \
                enum err r_;                                                                                 \
                memset(&e, 0, sizeof e);                                                                     \
                r_ = (call);                                                                                 \
                if (r_ != (wanted))                                                                          \
                        fail_msg("wanted %s, got %s: %s", err_name(wanted), err_name(r_), e.message);        \
                assert_int_equal(e.code, wanted);                                                            \
                assert_true(e.message[0] && e.remedy[0]);                                                    \
        } while (0)
