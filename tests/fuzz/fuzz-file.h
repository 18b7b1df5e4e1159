/* For parsers that take a path: a directory that lasts as long as the program, and a file in it. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* The directory; nobody else can write it. */
const char *fuzz_directory(void);
/* Its file @name holds the octets from now on; the path is borrowed until the next call. */
const char *fuzz_file(const char *name, const uint8_t *data, size_t size);
