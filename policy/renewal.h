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
 * How long to wait after the @attempts-th failure in a row, in seconds; @random: any number; RETRY_MIN at
 * least. Without a certificate that is valid until @not_after: anything up to a limit that is @base at first,
 * doubles each time, and is RETRY_MAX at most. With one nothing presses: half of the limit and anything of
 * the other half, where the limit is @base once, and then RENEWAL_RETRY_MAX or an eighth of what is left, so
 * that attempts come denser towards the end. Every further step between would be another crowd at a server
 * that comes back.
 */
uint64_t retry_wait(uint64_t attempts, uint64_t base, uint64_t not_after, uint64_t now, uint64_t random);
/* @wait, or what the server asked for by Retry-After where that is longer, but no longer than half of what is
 * left: a server's wish lets no certificate expire. */
uint64_t longer_wait(uint64_t wait, uint64_t retry_after, uint64_t not_after, uint64_t now);
/* How long until its owner is reminded of what only he can do: a day, and less in the last week of a
 * certificate that ends at @not_after. */
uint64_t remind_wait(uint64_t not_after, uint64_t now);
/*
 * What a machine does at @now about the renewal whose date was @date and that was to be asked for at @due: 0:
 * it asks; else the seconds until it does. Who is there then asks. Who slept, or was off, draws a wait, and
 * another one if that is slept through, too: those who wake together do not ask together. It is at most
 * SOON_WAIT and a twentieth of what is left. Where more than MUCH_LEFT is, and the date is not gone by half
 * of that, it is up to LATE_WAIT and a tenth: who comes back on a Monday is one of a weekend's.
 */
enum { LATE = 600, SOON_WAIT = 3600, LATE_WAIT = 72 * 3600, MUCH_LEFT = 30 * 24 * 3600 };
uint64_t late_wait(uint64_t date, uint64_t due, uint64_t not_after, uint64_t now, uint64_t random);
/* After the network came back, for who had no answer: up to an hour, and a twentieth of what is left. */
uint64_t network_wait(uint64_t not_after, uint64_t now, uint64_t random);
