#include "scep-wire/names.h"

#include <stddef.h>

#include "base/cleanup.h"

bool scep_request_type_valid(int64_t type)
{
        return type == SCEP_PKCS_REQ || type == SCEP_RENEWAL_REQ || type == SCEP_CERT_POLL ||
               type == SCEP_GET_CRL;
}

bool scep_status_valid(int64_t status)
{
        return status == SCEP_SUCCESS || status == SCEP_FAILURE || status == SCEP_PENDING;
}

bool scep_fail_valid(int64_t fail)
{
        return fail >= SCEP_BAD_ALG && fail <= SCEP_BAD_CERT_ID;
}

const char *scep_status_name(enum scep_status status)
{
        switch (status) {
        case SCEP_SUCCESS:
                return "SUCCESS";
        case SCEP_FAILURE:
                return "FAILURE";
        case SCEP_PENDING:
                return "PENDING";
        }
        return "unknown";
}

static const struct {
        const char *name, *meaning, *remedy;
} fails[] = {
        [SCEP_BAD_ALG] = {"badAlg", "it does not support an algorithm of the request",
                          "Compare the server's GetCACaps with the profile's Hash= and RequireCaps=."},
        [SCEP_BAD_MESSAGE_CHECK] = {"badMessageCheck", "it could not verify the signature of the request",
                                    "Check that no proxy changes the message, that the server supports the "
                                    "digest, and that it takes POST."},
        [SCEP_BAD_REQUEST] = {"badRequest", "it does not permit or support this request",
                              "Get a fresh challenge: it may be wrong, used or expired (NDES: event 29). "
                              "Else compare subject, names "
                              "and key usage with the server's template."},
        [SCEP_BAD_TIME] = {"badTime", "the time in the request is too far from its own clock",
                           "Set the clock of this machine (timedatectl), or that of the server."},
        [SCEP_BAD_CERT_ID] = {"badCertId", "it knows no request or certificate of that name",
                              "Start a new enrollment: the server has forgotten this one."},
};

const char *scep_fail_name(enum scep_fail fail)
{
        return scep_fail_valid(fail) ? fails[fail].name : "no failInfo";
}

const char *scep_fail_meaning(enum scep_fail fail)
{
        return scep_fail_valid(fail) ? fails[fail].meaning : "it gives no reason";
}

const char *scep_fail_remedy(enum scep_fail fail)
{
        return scep_fail_valid(fail) ? fails[fail].remedy : "Read the reason in the server's own log.";
}

const char *scep_note_text(enum scep_note note)
{
        switch (note) {
        case SCEP_NOTE_DES3:
                return "The server encrypted its reply with 3DES";
        case SCEP_NOTE_DES:
                return "The server encrypted its reply with single DES, which the profile allows";
        case SCEP_NOTE_SHA1:
                return "The server signed its reply with SHA-1";
        case SCEP_NOTE_SIGNING_TIME:
                return "The time the server signed its reply at is more than 15 minutes from this machine's "
                       "clock";
        case SCEP_NOTE_FAIL_INFO_ABSENT:
                return "The server refused the request without a failInfo";
        case SCEP_NOTES_ALL:
                break;
        }
        return "unknown note";
}

struct hresult_row {
        uint32_t number;
        const char *name, *remedy; /* remedy NULL: failInfo's */
};

static const struct hresult_row *hresult_row(uint32_t hresult)
{
        static const struct hresult_row rows[] = {
                {0x80070057, "E_INVALIDARG", NULL},
                {0x80004005, "E_FAIL", NULL},
                {0x80070005, "E_ACCESSDENIED",
                 "On the server: grant NDES's account Enroll on the template, and Request at the CA."},
                {0x8007000d, "ERROR_INVALID_DATA", NULL},
                {0x800706ba, "RPC_S_SERVER_UNAVAILABLE",
                 "On the server: NDES does not reach the CA. Start the CA, or open RPC between the two."},
                {0x80090005, "NTE_BAD_DATA", NULL},
                {0x80090008, "NTE_BAD_ALGID", NULL},
                {0x80092004, "CRYPT_E_NOT_FOUND", NULL},
                {0x80094800,
                 "CERTSRV_E_UNSUPPORTED_CERT_TYPE", /* the CA does not know the template (event 31) */
                 "On the server: publish the template at the CA, and see that NDES's registry holds its "
                 "name, not "
                 "its display name."},
                {0x80094811, "CERTSRV_E_KEY_LENGTH",
                 "Choose a larger key in the profile (Algorithm=), or lower the minimum of the CA's "
                 "template."},
        };

        for (size_t i = 0; i < N_ELEMENTS(rows); i++)
                if (rows[i].number == hresult)
                        return &rows[i];
        return NULL;
}

const char *scep_hresult_name(uint32_t hresult)
{
        const struct hresult_row *row = hresult_row(hresult);

        return row ? row->name : NULL;
}

const char *scep_hresult_remedy(uint32_t hresult)
{
        const struct hresult_row *row = hresult_row(hresult);

        return row ? row->remedy : NULL;
}
