/* Small pure parsers with bounds: numbers, hexadecimal, UTF-8. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

/* Decimal digits alone, no sign, no blank, at most @max. false: anything else. */
bool parse_u64(const char *s, uint64_t max, uint64_t *ret);
/* "yes", "true", "1", "on" and their opposites, as systemd takes them. */
bool parse_bool(const char *s, bool *ret);

/* Lower-case hexadecimal of @v and a NUL: @ret needs 2 * v.len + 1 octets. */
void hex_encode(struct view v, char *ret);
/* Takes upper and lower case; blanks and colons between octets are skipped, as thumbprints are written.
 * *ret_len <= @size. false: odd digits, another character, or more than @size octets. */
bool hex_decode(const char *s, uint8_t *ret, size_t size, size_t *ret_len);
/* 40 hex digits and the like: exactly @digits of 0-9a-f. */
bool is_lower_hex(const char *s, size_t digits);

/* Valid UTF-8 (no overlong form, no surrogate), and no NUL inside. */
bool utf8_valid(struct view v);
/* Characters of valid UTF-8 between the two. */
size_t utf8_count(const char *from, const char *to);
/* Makes the C string in @text valid UTF-8 in place: each bad octet becomes '?', a sequence cut at the end
 * goes.
 * @size: octets of the array. */
void utf8_scrub(char *text, size_t size);
/* The same for one line of a stranger's: each control character becomes a space, too. */
void line_scrub(char *text, size_t size);
