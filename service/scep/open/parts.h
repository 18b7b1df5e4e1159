/* The two halves of reply_open(): attributes of a verified signer, and the envelope. Inside this folder only.
 */
#pragma once

#include <openssl/cms.h>

#include "scep-open/reply.h"

OSSL_CLEANUP(CMS_ContentInfo, cms_free, CMS_ContentInfo_free)

/* Status, failInfo and the rest into *reply, once type, transaction and nonce are ours. */
MUST_CHECK enum err attributes_read(const struct reply_spec *spec, CMS_SignerInfo *si, struct reply *reply,
                                    struct error *e);
/* @octets: the eContent of a SUCCESS. Certificates and notes into *reply. */
MUST_CHECK enum err envelope_open(const struct reply_spec *spec, struct view octets, struct reply *reply,
                                  struct error *e);
