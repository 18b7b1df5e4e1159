/* A CertRep as the worker opens it: to a request of the recorded device, with its key. */
#pragma once

#include "recorded.h"
#include "scep-open/reply.h"

/* Opened as an answer to a request, or, with @crl, to GetCRL, and looked at. */
void certrep_open(struct view octets, bool crl);
