/*
 * What fuzz targets share. A target takes any octets, uses what it parsed, and aborts where a promise is
 * broken; leaks and wild reads are the sanitizers' to find. libFuzzer drives it (SCEPTER_FUZZ), or driver.c
 * with the corpus and a fixed number of mutations of it.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "policy/variables.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Aborts with the sentence if @kept is false. */
void fuzz_promise(bool kept, const char *promise);
/* A failure has its code, a sentence in UTF-8 on one line, and a remedy. */
void fuzz_whole(enum err r, const struct error *e);
/* From now on: who asks a person for a passphrase breaks a promise. */
void fuzz_no_prompt(void);
/* The octets as a C string of their own: free(). A NUL inside ends it. */
char *fuzz_text(const uint8_t *data, size_t size);
/* Facts that all have values, which would be syntax if somebody let them. */
struct facts fuzz_facts(void);
