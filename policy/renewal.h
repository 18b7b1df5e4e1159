/* When a certificate is to be renewed: a date of its own for every device, the same each time it is asked.
 * Pure. */
#pragma once

#include <stdint.h>

#include "base/error.h"

/*
 * notBefore + (100 - threshold)% of the life, plus a share of the first quarter of what then remains that is
 * a stable hash of device and certificate: a fleet enrolled in one hour does not come back in one. Times are
 * seconds since the epoch; @threshold is the percent of life REMAINING, 1..99. *ret lies in [notBefore,
 * notAfter); for a certificate without a life (notAfter <= notBefore) it is notBefore.
 */
MUST_CHECK enum err renewal_date(int64_t not_before, int64_t not_after, unsigned threshold,
                                 const char *device_id, const char *certificate_id, int64_t *ret,
                                 struct error *e);

enum { RETRY_MIN = 60, RETRY_MAX = 4 * 3600, RENEWAL_RETRY_MAX = 24 * 3600 };
enum { REMIND_DAILY = 24 * 3600, REMIND_SOON = 6 * 3600, REMIND_WEEK = 7 * 24 * 3600 };

/*
 * How long to wait after the @attempts-th failure in a row, in seconds: anything from RETRY_MIN to a limit
 * that is @base at first and doubles each time. The limit is at most RETRY_MAX; for a certificate that ends
 * at
 * @not_after (0: there is none) it is at most RENEWAL_RETRY_MAX and an eighth of what is left, so that
 * attempts come denser towards the end. @random: any number.
 */
uint64_t retry_wait(uint64_t attempts, uint64_t base, uint64_t not_after, uint64_t now, uint64_t random);
/* @wait, or what the server asked for by Retry-After where that is longer, but no longer than half of what is
 * left: a server's wish lets no certificate expire. */
uint64_t longer_wait(uint64_t wait, uint64_t retry_after, uint64_t not_after, uint64_t now);
/* How long until its owner is reminded of what only he can do: a day, and less in the last week of a
 * certificate that ends at @not_after. */
uint64_t remind_wait(uint64_t not_after, uint64_t now);
/* After a date that was missed, because the machine slept or was off: anything up to an hour and a twentieth
 * of what is left, so that those who wake together do not ask together. */
uint64_t late_wait(uint64_t not_after, uint64_t now, uint64_t random);
