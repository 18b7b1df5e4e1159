/* Units of systemd, through its manager on the bus; each is waited for. */
#pragma once

#include "policy/consumer.h"

struct bus_client;

/* ERR_CONSUMER: the unit could not, or is not there. */
MUST_CHECK enum err unit_do(struct bus_client *bus, enum unit_verb verb, const char *unit, struct error *e);
