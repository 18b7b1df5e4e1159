/* Times for people, both ways. Pure but for the local time zone. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { TIME_TEXT = 48 };

/* "2027-11-21 15:04" in local time; "-" for 0. */
void time_text(uint64_t t, char ret[TIME_TEXT]);
/* The two largest units: "364 d 3 h", "12 min 5 s", "0 s". */
void duration_text(uint64_t seconds, char ret[TIME_TEXT]);
/* "in 364 d 3 h", "12 min 5 s ago", "now"; "-" for 0. */
void time_relative_text(uint64_t t, uint64_t now, char ret[TIME_TEXT]);
/*
 * A moment as people write it: "2027-11-21", "2027-11-21 15:04", with seconds, or a T between, in local time;
 * "@1700000000"; or how long before @now: "90s", "15m", "2h", "7d". false: none of these, or before 1970.
 */
bool time_read(const char *text, uint64_t now, uint64_t *ret);
