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
