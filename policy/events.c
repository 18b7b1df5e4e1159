#include "policy/events.h"

#include <string.h>
#include <syslog.h>

#define F(field) (UINT64_C(1) << EVENT_##field)
_Static_assert(_EVENT_FIELD_MAX <= 64, "a bit for each");

static const struct {
        const char *name, *message_id;
        unsigned windows;
        int priority;
        uint64_t required, optional;
} events[_EVENT_MAX] = {
        [EVENT_PROFILE_ACCEPTED] = {"PROFILE_ACCEPTED", "1a0768266e664ea4a1f6c9f7f9fb3e77", 306, LOG_NOTICE,
                                    F(SCOPE) | F(KEY_PROTECTION), 0},
        [EVENT_PROFILE_ADOPTED] = {"PROFILE_ADOPTED", "84638f0ed51f4648b32940f2848af6dd", 306, LOG_NOTICE,
                                   F(SCOPE) | F(THUMBPRINT), 0},
        [EVENT_PROFILE_CHANGED] = {"PROFILE_CHANGED", "faed3d99d6aa4a039556ff4f3a3796f3", 306, LOG_NOTICE,
                                   F(SCOPE) | F(THUMBPRINT) | F(RENEW_AT), 0},
        [EVENT_CA_CAPS] = {"CA_CAPS", "b07cae577ab84b38837cfe0cf244ab6c", 0, LOG_INFO,
                           F(URL) | F(HTTP_STATUS), F(CAPABILITIES)},
        [EVENT_CA_CERTS] = {"CA_CERTS", "c3d28d8a9a9545e0a2f3696b8794471c", 0, LOG_INFO,
                            F(URL) | F(HTTP_STATUS) | F(FINGERPRINTS), 0},
        [EVENT_REQUEST_GENERATED] = {"REQUEST_GENERATED", "4d08c37cd5e8423785164a8bccbf9f40", 36, LOG_NOTICE,
                                     F(URL) | F(TRANSACTION) | F(EXCHANGE) | F(KEY_PROTECTION) |
                                             F(KEY_ALGORITHM),
                                     F(EXTENDED_KEY_USAGE)},
        [EVENT_PENDING] = {"PENDING", "4e9ec22afa58409e8d289de7245832ce", 0, LOG_NOTICE,
                           F(URL) | F(TRANSACTION) | F(ATTEMPT) | F(ATTEMPTS) | F(NEXT_AT), 0},
        [EVENT_RETRY] = {"RETRY", "9ff877e60bfc482a951a115230cd9194", 0, LOG_INFO,
                         F(URL) | F(TRANSACTION) | F(ATTEMPT) | F(ATTEMPTS) | F(NEXT_AT),
                         F(ERROR) | F(REMEDY)},
        [EVENT_SERVER_SKIPPED] = {"SERVER_SKIPPED", "5bf2d72e12084afb80b0e3edcdab3015", 0, LOG_WARNING,
                                  F(URL) | F(ERROR) | F(REMEDY), 0},
        [EVENT_CERT_ISSUED] = {"CERT_ISSUED", "bd6cb033a8e04e5aa9a3ebfc55f08047", 0, LOG_INFO,
                               F(URL) | F(THUMBPRINT) | F(NOT_AFTER), 0},
        [EVENT_CERT_REFUSED] = {"CERT_REFUSED", "a1116055f37443e49f7339d49e82141b", 0, LOG_ERR,
                                F(URL) | F(THUMBPRINT) | F(NOT_AFTER) | F(ERROR) | F(REMEDY), 0},
        [EVENT_CERT_INSTALLED] = {"CERT_INSTALLED", "0aeb362bab4e40d19f94aafb6aba8d41", 39, LOG_NOTICE,
                                  F(URL) | F(THUMBPRINT) | F(SERIAL) | F(NOT_AFTER) | F(RENEW_AT) |
                                          F(KEY_PROTECTION),
                                  F(SUBJECT)},
        [EVENT_ENROL_FAILED] = {"ENROL_FAILED", "236134e5872d4306bc73cc24f5109299", 32, LOG_ERR,
                                F(STAGE) | F(ERROR) | F(REMEDY),
                                F(URL) | F(HTTP_STATUS) | F(PKI_STATUS) | F(FAIL_INFO) | F(HRESULT) |
                                        F(HRESULT_NAME) | F(NEXT_AT)},
        [EVENT_ENROL_CANCELLED] = {"ENROL_CANCELLED", "3461fe8c464b433093e53752669a6a60", 0, LOG_NOTICE,
                                   F(STAGE), 0},
        [EVENT_CERT_REMOVED] = {"CERT_REMOVED", "72fcf9e743d0438cac8d18997ced5827", 0, LOG_NOTICE, 0,
                                F(THUMBPRINT)},
        [EVENT_RENEW_DUE] = {"RENEW_DUE", "6c1a964b59e342408ec87e8809d1a6bb", 0, LOG_NOTICE,
                             F(THRESHOLD) | F(RENEW_AT) | F(NOT_AFTER), 0},
        [EVENT_NAMES_DIFFER] = {"NAMES_DIFFER", "dee9145069f94939aae4fe0c7fa980d7", 0, LOG_WARNING,
                                F(NAMES) | F(NEW_NAMES) | F(REMEDY), 0},
        [EVENT_RENEW_REFUSED] = {"RENEW_REFUSED", "c02640120f504602a95082171d3a3415", 0, LOG_NOTICE,
                                 F(URL) | F(METHOD) | F(ERROR), F(HTTP_STATUS) | F(FAIL_INFO)},
        [EVENT_CHALLENGE_NEEDED] = {"CHALLENGE_NEEDED", "7ca914b5f943489b982a8851d104821a", 0, LOG_WARNING,
                                    F(REMEDY), F(NOT_AFTER)},
        [EVENT_PIN_NEEDED] = {"PIN_NEEDED", "291d60af69fc4590b01c593b88770b1f", 0, LOG_WARNING,
                              F(REMEDY) | F(NEXT_AT), F(NOT_AFTER)},
        [EVENT_CERT_REVOKED] = {"CERT_REVOKED", "ebcd7de4b3c241e3a984ac8ffe7f9f5c", 0, LOG_ERR,
                                F(THUMBPRINT) | F(SERIAL) | F(REVOKED_AT), F(REASON)},
        [EVENT_CRL_REFUSED] = {"CRL_REFUSED", "0304d0975d38417d8877d64c453f940d", 0, LOG_NOTICE,
                               F(URL) | F(THUMBPRINT) | F(ERROR) | F(REMEDY), 0},
        [EVENT_CERT_APPLIED] = {"CERT_APPLIED", "3260b1721e5b4db59112aca8b3cbebf1", 0, LOG_NOTICE,
                                F(THUMBPRINT), 0},
        [EVENT_APPLY_FAILED] = {"APPLY_FAILED", "eabaf1e99f144bfd80239f82bbbb9ed9", 0, LOG_ERR,
                                F(THUMBPRINT) | F(ERROR) | F(REMEDY) | F(NEXT_AT), F(CONSUMER)},
        [EVENT_CA_NEXT] = {"CA_NEXT", "b666b78817e1446e9aff368f8b12076b", 0, LOG_NOTICE,
                           F(URL) | F(ANCHOR) | F(NEXT_ANCHOR), 0},
        [EVENT_CA_NEXT_REFUSED] = {"CA_NEXT_REFUSED", "5a1a270fb72c462496fe8765bad46377", 0, LOG_WARNING,
                                   F(URL) | F(ANCHOR) | F(ERROR) | F(REMEDY), 0},
        [EVENT_CA_FOLLOWED] = {"CA_FOLLOWED", "9b04f61b422344ef9672a52900301887", 0, LOG_NOTICE,
                               F(ANCHOR) | F(NEXT_ANCHOR), 0},
};

/* Windows cannot begin with the server: its 307, where any later failure is 32 [facts §7.1]. */
static const char *const stages_of_307[] = {"discover", "choose"};

static const struct {
        const char *name, *journal;
        enum event_shape shape;
} fields[_EVENT_FIELD_MAX] = {
        [EVENT_SCOPE] = {"scope", "SCEPTER_SCOPE", EVENT_TEXT},
        [EVENT_KEY_PROTECTION] = {"keyProtection", "SCEPTER_KEY_PROTECTION", EVENT_TEXT},
        [EVENT_KEY_ALGORITHM] = {"keyAlgorithm", "SCEPTER_KEY_ALGORITHM", EVENT_TEXT},
        [EVENT_EXTENDED_KEY_USAGE] = {"extendedKeyUsage", "SCEPTER_EXTENDED_KEY_USAGE", EVENT_LIST},
        [EVENT_URL] = {"url", "SCEPTER_URL", EVENT_TEXT},
        [EVENT_HTTP_STATUS] = {"httpStatus", "SCEPTER_HTTP_STATUS", EVENT_NUMBER},
        [EVENT_CAPABILITIES] = {"capabilities", "SCEPTER_CAPABILITIES", EVENT_LIST},
        [EVENT_FINGERPRINTS] = {"fingerprints", "SCEPTER_FINGERPRINTS", EVENT_LIST},
        [EVENT_ANCHOR] = {"anchor", "SCEPTER_ANCHOR", EVENT_TEXT},
        [EVENT_NEXT_ANCHOR] = {"nextAnchor", "SCEPTER_NEXT_ANCHOR", EVENT_TEXT},
        [EVENT_EXCHANGE] = {"exchange", "SCEPTER_EXCHANGE", EVENT_TEXT},
        [EVENT_TRANSACTION] = {"transaction", "SCEPTER_TRANSACTION", EVENT_TEXT},
        [EVENT_ATTEMPT] = {"attempt", "SCEPTER_ATTEMPT", EVENT_NUMBER},
        [EVENT_ATTEMPTS] = {"attempts", "SCEPTER_ATTEMPTS", EVENT_NUMBER},
        [EVENT_NEXT_AT] = {"nextAt", "SCEPTER_NEXT_AT", EVENT_NUMBER},
        [EVENT_THUMBPRINT] = {"thumbprint", "SCEPTER_THUMBPRINT", EVENT_TEXT},
        [EVENT_SERIAL] = {"serial", "SCEPTER_SERIAL", EVENT_TEXT},
        [EVENT_SUBJECT] = {"subject", "SCEPTER_SUBJECT", EVENT_TEXT},
        [EVENT_NAMES] = {"names", "SCEPTER_NAMES", EVENT_TEXT},
        [EVENT_NEW_NAMES] = {"newNames", "SCEPTER_NEW_NAMES", EVENT_TEXT},
        [EVENT_NOT_AFTER] = {"notAfter", "SCEPTER_NOT_AFTER", EVENT_NUMBER},
        [EVENT_RENEW_AT] = {"renewAt", "SCEPTER_RENEW_AT", EVENT_NUMBER},
        [EVENT_THRESHOLD] = {"threshold", "SCEPTER_THRESHOLD", EVENT_NUMBER},
        [EVENT_METHOD] = {"method", "SCEPTER_METHOD", EVENT_TEXT},
        [EVENT_REVOKED_AT] = {"revokedAt", "SCEPTER_REVOKED_AT", EVENT_NUMBER},
        [EVENT_REASON] = {"reason", "SCEPTER_REASON", EVENT_TEXT},
        [EVENT_CONSUMER] = {"consumer", "SCEPTER_CONSUMER", EVENT_TEXT},
        [EVENT_STAGE] = {"stage", "SCEPTER_STAGE", EVENT_TEXT},
        [EVENT_PKI_STATUS] = {"pkiStatus", "SCEPTER_PKI_STATUS", EVENT_TEXT},
        [EVENT_FAIL_INFO] = {"failInfo", "SCEPTER_FAIL_INFO", EVENT_TEXT},
        [EVENT_HRESULT] = {"hresult", "SCEPTER_HRESULT", EVENT_TEXT},
        [EVENT_HRESULT_NAME] = {"hresultName", "SCEPTER_HRESULT_NAME", EVENT_TEXT},
        [EVENT_ERROR] = {"error", "SCEPTER_ERROR", EVENT_TEXT},
        [EVENT_REMEDY] = {"remedy", "SCEPTER_REMEDY", EVENT_TEXT},
};

const char *event_name(enum event_kind kind)
{
        return events[kind].name;
}

const char *event_message_id(enum event_kind kind)
{
        return events[kind].message_id;
}

int event_priority(enum event_kind kind)
{
        return events[kind].priority;
}

unsigned event_windows(enum event_kind kind, const char *stage)
{
        for (size_t i = 0; kind == EVENT_ENROL_FAILED && stage && i < N_ELEMENTS(stages_of_307); i++)
                if (strcmp(stage, stages_of_307[i]) == 0)
                        return 307;
        return events[kind].windows;
}

const char *event_field_name(enum event_field field)
{
        return fields[field].name;
}

const char *event_field_journal(enum event_field field)
{
        return fields[field].journal;
}

enum event_shape event_field_shape(enum event_field field)
{
        return fields[field].shape;
}

static enum event_field first_of(uint64_t bits)
{
        unsigned field = 0;

        while (field < _EVENT_FIELD_MAX && !(bits & UINT64_C(1) << field))
                field++;
        return (enum event_field)field;
}

enum event_field event_lacks(enum event_kind kind, uint64_t told)
{
        return first_of(events[kind].required & ~told);
}

enum event_field event_exceeds(enum event_kind kind, uint64_t told)
{
        return first_of(told & ~(events[kind].required | events[kind].optional));
}
