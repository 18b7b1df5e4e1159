/*
 * What ksp/base/error.h promises in words, in a form that analyzers follow from one file to another: who
 * makes an error gets the code back that was given, and no error is ERR_OK. Included before every source but
 * those of ksp/base, which define these functions; part of nothing that is built.
 */
#pragma once

#include "../../ksp/base/error.h"

#define analysed(code, call)                                                                                 \
        (__extension__({                                                                                     \
                enum err code_ = (code);                                                                     \
                (void)(call);                                                                                \
                if (code_ == ERR_OK)                                                                         \
                        __builtin_unreachable();                                                             \
                code_;                                                                                       \
        }))
#define error_set(e, code, ...)     analysed(code, error_set(e, code_, __VA_ARGS__))
#define error_remedy(e, code, ...)  analysed(code, error_remedy(e, code_, __VA_ARGS__))
#define error_context(e, code, ...) analysed(code, error_context(e, code_, __VA_ARGS__))
#define error_no_memory(e)          analysed(ERR_NO_MEMORY, error_no_memory(e))
#define errno_error(e, errnum, ...) analysed(errno_error(e, errnum, __VA_ARGS__), 0)
