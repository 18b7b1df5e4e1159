/*
 * In which order a device tries the servers of a profile, so that many devices do not all ask the first one.
 * Pure: the order depends on the device and the profile's identity and is the same at every attempt; a URL
 * that comes or goes does not change the order of the others.
 */
#pragma once

#include "policy/profile.h"

/*
 * *ret: an own copy of the profile's URLs. As written for INI; for documents of Windows' shape (csp) each at
 * the place this device gives it; for Android's (syncml) the first, which the service chose for the device,
 * stays first, and the others follow so.
 */
MUST_CHECK enum err servers_order(const struct profile *p, const char *device_id, struct strings *ret,
                                  struct error *e);
