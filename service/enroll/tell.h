/* What an enrollment tells of its course: each event with its fields (policy/events.h). Threads of the pool,
 * in the step that has just put the same onto the disk. */
#pragma once

#include "internal.h"
#include "scep-wire/caps.h"

void tell_accepted(struct enrollment *en);
/* Nothing is requested: the certificate of a profile that is gone fits; or this profile's own still does. */
void tell_adopted(struct enrollment *en);
void tell_changed(struct enrollment *en);
/* What the server said of itself; again only where it differs from what was told last. */
void tell_server(struct enrollment *en, const struct scep_caps *caps, const STACK_OF(X509) * certs);
void tell_request(struct enrollment *en, const char *message);
/* Before the poll that record.next_poll is the time of; @why: and the last one had no answer. */
void tell_pending(struct enrollment *en);
void tell_poll_failed(struct enrollment *en, const struct error *why);
/* The server of the request is out of order, and the next one of the profile is asked. */
void tell_failed_over(struct enrollment *en, const struct error *why);
void tell_issued(struct enrollment *en, X509 *cert);
void tell_refused(struct enrollment *en, X509 *cert, const struct error *why);
void tell_installed(struct enrollment *en);
void tell_challenge_needed(struct enrollment *en, const struct error *why);
/* Each time that its owner is reminded; record.retry_at: of the next. */
void tell_pin_needed(struct enrollment *en, const struct error *why);
void tell_failed(struct enrollment *en, const struct error *why);
/* Before the next way is taken. */
void tell_method_refused(struct enrollment *en, const struct error *why);
/* The consumers have it; or one, or (@consumer NULL) something before it, does not. */
void tell_applied(struct enrollment *en);
void tell_not_applied(struct enrollment *en, const char *consumer, const struct error *why);
void tell_revoked(struct enrollment *en);
/* en->revoked: why there is no CRL. */
void tell_crl_refused(struct enrollment *en);
void tell_renewal_due(struct enrollment *en);
/* record.new_names is not what the plan says, @before. */
void tell_names_differ(struct enrollment *en, const struct strings *before);
void tell_cancelled(struct enrollment *en);
/* en->found: what the CA announced to come after it, or why that was not taken. */
void tell_next_ca(struct enrollment *en);
void tell_next_ca_refused(struct enrollment *en);
/* The installed certificate leads to @to, and the one before it led to @from. */
void tell_followed(struct enrollment *en, X509 *from, X509 *to);
