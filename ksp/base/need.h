/*
 * malloc() for a library that does not bear that it fails, in a program that can simply end there: says that
 * there is no memory on standard error, as the command does, and ends with its status for it. No context, no
 * exit handlers.
 */
#pragma once

#include <stddef.h>

void *need(size_t size);
