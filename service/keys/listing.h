/* Requests LIST and DESCRIBE of a connection to the key socket (channel/frame.h). Inside service/keys only.
 */
#pragma once

#include "connection.h"

MUST_CHECK enum err listing_list(struct connection *connection, const struct frame_header *h,
                                 const struct key_request *request, struct error *e);
MUST_CHECK enum err listing_describe(struct connection *connection, const struct frame_header *h,
                                     const struct key_request *request, struct error *e);
/* FRAME_TAG_CERTIFICATE: the certificate number @index, from 0, in a generation's @file; nothing where there
 * is none. */
void listing_put_certificate(const struct daemon *d, const struct certificate *certificate,
                             uint64_t generation, const char *file, uint64_t index, struct fields_writer *w);
