/*
 * JSON texts as jansson's values, also where there is no memory. jansson 2.14 collects each token in a buffer
 * and does not look whether that could grow (load.c, lex_save()): without memory a value comes back
 * shortened, which would be written back so, or its end is looked for behind the heap's block. So a reading
 * that is refused memory is left at once, and what it had is freed here.
 */
#pragma once

#include <jansson.h>

#include "base/bytes.h"

/* An object, without a name that comes twice; json_decref(). ERR_CONFIG: it is none; ERR_NO_MEMORY. Any
 * thread. */
MUST_CHECK enum err json_text_read(struct view text, json_t **ret, struct error *e);
