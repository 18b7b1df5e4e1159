/* The parts of reply_open(): attributes of a verified signer, the envelope, and the ways its key gets here.
 * Inside this folder only. */
#pragma once

#include <openssl/cms.h>

#include "scep-open/reply.h"

OSSL_CLEANUP(CMS_ContentInfo, cms_free, CMS_ContentInfo_free)

/* Status, failInfo and the rest into *reply, once type, transaction and nonce are ours. */
MUST_CHECK enum err attributes_read(const struct reply_spec *spec, CMS_SignerInfo *si, struct reply *reply,
                                    struct error *e);
/* What is encrypted, as envelope_open() found it; borrowed. */
struct envelope_content {
        OSSL_LIB_CTX *libctx; /* that has the cipher */
        const X509_ALGOR *cipher;
        int nid;
        size_t key_len;
        struct view octets;
};
/* A RecipientInfo with its implicit tag as the SEQUENCE that it is. */
MUST_CHECK enum err implicit_sequence(struct view raw, struct bytes *ret, struct error *e);
/* @ri, a key agreement whose encoding is @raw: *ret_ours false where it is for somebody else; else what the
 * one derive would be spent on is judged. */
MUST_CHECK enum err agreement_check(const struct reply_spec *spec, CMS_RecipientInfo *ri, struct view raw,
                                    size_t content_key, bool *ret_ours, struct error *e);
/* Judges the password recipient @raw, has its key unwrapped, and decrypts. */
MUST_CHECK enum err password_open(const struct reply_spec *spec, struct view raw,
                                  const struct envelope_content *content, struct bytes *ret, struct error *e);
/* @octets: the eContent of a SUCCESS. Certificates or CRLs, and notes, into *reply. */
MUST_CHECK enum err envelope_open(const struct reply_spec *spec, struct view octets, struct reply *reply,
                                  struct error *e);
