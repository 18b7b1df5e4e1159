/* The signed attributes of a CertRep (RFC 8894 §3.2.1), read after the signature over them was verified. */
#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "scep-open/parts.h"

enum { ATTRIBUTE_TEXT_MAX = 256, CLOCK_SLACK = 15 * 60 };

/* One attribute with one value of one of the character types, copied as text. *ret_found false: there is
 * none. */
static enum err get_text(CMS_SignerInfo *si, const char *oid, const char *name,
                         char ret[ATTRIBUTE_TEXT_MAX + 1], bool *ret_found, struct error *e)
{
        static const int types[] = {V_ASN1_PRINTABLESTRING, V_ASN1_UTF8STRING, V_ASN1_IA5STRING};
        CLEANUP(asn1_object_free_p) ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
        const ASN1_STRING *value = NULL;

        if (!object)
                return error_no_memory(e);
        *ret_found = CMS_signed_get_attr_by_OBJ(si, object, -1) >= 0;
        if (!*ret_found)
                return ERR_OK;
        /* -3: once, with one value. */
        for (size_t i = 0; i < N_ELEMENTS(types) && !value; i++)
                value = CMS_signed_get0_data_by_OBJ(si, object, -3, types[i]);
        if (!value)
                return error_set(e, ERR_REPLY, "The reply's %s is not one printable text", name);
        if (ASN1_STRING_length(value) > ATTRIBUTE_TEXT_MAX && strcmp(oid, SCEP_OID_FAIL_INFO_TEXT) != 0)
                return error_set(e, ERR_REPLY, "The reply's %s is %d octets long", name,
                                 ASN1_STRING_length(value));
        if (memchr(ASN1_STRING_get0_data(value), 0, (size_t)ASN1_STRING_length(value)))
                return error_set(e, ERR_REPLY, "The reply's %s has a zero octet", name);
        (void)snprintf(ret, ATTRIBUTE_TEXT_MAX + 1, "%.*s", ASN1_STRING_length(value),
                       (const char *)ASN1_STRING_get0_data(value));
        utf8_scrub(ret, ATTRIBUTE_TEXT_MAX + 1);
        return ERR_OK;
}

static enum err require_text(CMS_SignerInfo *si, const char *oid, const char *name,
                             char ret[ATTRIBUTE_TEXT_MAX + 1], struct error *e)
{
        bool found = false;
        enum err r = get_text(si, oid, name, ret, &found, e);

        if (!r && !found)
                return error_set(e, ERR_REPLY, "The reply has no %s", name);
        return r;
}

static enum err check_type(CMS_SignerInfo *si, struct error *e)
{
        char text[ATTRIBUTE_TEXT_MAX + 1];
        enum err r = require_text(si, SCEP_OID_MESSAGE_TYPE, "messageType", text, e);

        if (!r && strcmp(text, "3") != 0)
                return error_set(e, ERR_REPLY, "The reply's messageType is '%s' instead of 3 (CertRep)",
                                 text);
        return r;
}

static enum err check_transaction(const struct reply_spec *spec, CMS_SignerInfo *si, struct error *e)
{
        char text[ATTRIBUTE_TEXT_MAX + 1];
        enum err r = require_text(si, SCEP_OID_TRANSACTION_ID, "transactionID", text, e);

        if (!r && strcmp(text, spec->transaction) != 0)
                return error_set(e, ERR_REPLY, "The reply belongs to the transaction '%s' instead of '%s'",
                                 text, spec->transaction);
        return r;
}

/* What ties the reply to our message; its own senderNonce does not matter (RFC 8894 §3.3.2). */
static enum err check_nonce(const struct reply_spec *spec, CMS_SignerInfo *si, struct error *e)
{
        CLEANUP(asn1_object_free_p) ASN1_OBJECT *object = OBJ_txt2obj(SCEP_OID_RECIPIENT_NONCE, 1);
        const ASN1_STRING *value;

        if (!object)
                return error_no_memory(e);
        if (CMS_signed_get_attr_by_OBJ(si, object, -1) < 0)
                return error_set(e, ERR_REPLY, "The reply has no recipientNonce");
        value = CMS_signed_get0_data_by_OBJ(si, object, -3, V_ASN1_OCTET_STRING);
        if (!value)
                return error_set(e, ERR_REPLY, "The reply's recipientNonce is not one OCTET STRING");
        if (spec->nonce.len == 0 ||
            !view_equal(spec->nonce,
                        (struct view){ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value)}))
                return error_set(e, ERR_REPLY,
                                 "The reply's recipientNonce (%d octets) is not the one that was sent",
                                 ASN1_STRING_length(value));
        return ERR_OK;
}

static enum err read_status(CMS_SignerInfo *si, struct reply *reply, struct error *e)
{
        char text[ATTRIBUTE_TEXT_MAX + 1];
        uint64_t number;
        enum err r = require_text(si, SCEP_OID_PKI_STATUS, "pkiStatus", text, e);

        if (r)
                return r;
        if (!parse_u64(text, 99, &number) || !scep_status_valid((int64_t)number))
                return error_set(e, ERR_REPLY, "The reply's pkiStatus is '%s', and only 0, 2 and 3 exist",
                                 text);
        reply->status = (enum scep_status)number;
        return ERR_OK;
}

static enum err read_fail(CMS_SignerInfo *si, struct reply *reply, struct error *e)
{
        char text[ATTRIBUTE_TEXT_MAX + 1];
        uint64_t number;
        bool found = false;
        enum err r = get_text(si, SCEP_OID_FAIL_INFO, "failInfo", text, &found, e);

        reply->fail = SCEP_FAIL_NONE;
        if (r)
                return r;
        if (!found) {
                reply->notes |= SCEP_NOTE_FAIL_INFO_ABSENT;
                return ERR_OK;
        }
        if (!parse_u64(text, 99, &number) || !scep_fail_valid((int64_t)number))
                return error_set(e, ERR_REPLY,
                                 "The server refused the request with failInfo '%s', and only 0 to 4 exist",
                                 text);
        reply->fail = (enum scep_fail)number;
        return ERR_OK;
}

/* For people alone: a malformed one is passed over. */
static void read_extras(CMS_SignerInfo *si, struct reply *reply)
{
        char text[ATTRIBUTE_TEXT_MAX + 1];
        bool found = false, negative;
        uint64_t number;

        if (get_text(si, SCEP_OID_FAIL_INFO_TEXT, "failInfoText", text, &found, NULL) == ERR_OK && found) {
                (void)snprintf(reply->text, sizeof reply->text, "%s", text);
                utf8_scrub(reply->text, sizeof reply->text);
        }
        if (get_text(si, SCEP_OID_MS_ERROR, "error number", text, &found, NULL) != ERR_OK || !found)
                return;
        negative = text[0] == '-';
        if (!parse_u64(text + negative, UINT32_MAX, &number))
                return;
        reply->has_hresult = true;
        reply->hresult = negative ? (uint32_t)(0 - number) : (uint32_t)number;
}

static void read_time(const struct reply_spec *spec, CMS_SignerInfo *si, struct reply *reply)
{
        CLEANUP(asn1_object_free_p) ASN1_OBJECT *object = OBJ_nid2obj(NID_pkcs9_signingTime);
        const ASN1_TIME *value = CMS_signed_get0_data_by_OBJ(si, object, -3, V_ASN1_UTCTIME);
        int64_t at;

        if (!value)
                value = CMS_signed_get0_data_by_OBJ(si, object, -3, V_ASN1_GENERALIZEDTIME);
        if (!asn1_time_seconds(value, &at))
                return; /* allowed to be absent */
        if (at > spec->now + CLOCK_SLACK || at < spec->now - CLOCK_SLACK)
                reply->notes |= SCEP_NOTE_SIGNING_TIME;
}

enum err attributes_read(const struct reply_spec *spec, CMS_SignerInfo *si, struct reply *reply,
                         struct error *e)
{
        enum err r = check_type(si, e);

        if (!r)
                r = check_transaction(spec, si, e);
        if (!r)
                r = check_nonce(spec, si, e);
        if (!r)
                r = read_status(si, reply, e);
        reply->fail = SCEP_FAIL_NONE;
        if (!r && reply->status == SCEP_FAILURE)
                r = read_fail(si, reply, e);
        if (r)
                return r;
        read_extras(si, reply);
        read_time(spec, si, reply);
        return ERR_OK;
}
