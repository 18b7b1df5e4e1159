/* The last transaction, as the certificate's record has it. Pure. */
#include <string.h>

#include "enroll/lifecycle.h"
#include "findings.h"
#include "scep-wire/names.h"

static const struct {
        enum err error;
        enum diagnose_code code;
} failures[] = {
        {ERR_NETWORK, DIAGNOSE_REQUEST_UNANSWERED},
        {ERR_TIMEOUT, DIAGNOSE_REQUEST_UNANSWERED},
        {ERR_TLS, DIAGNOSE_REQUEST_UNANSWERED},
        {ERR_DENIED, DIAGNOSE_REQUEST_UNANSWERED},
        {ERR_HTTP, DIAGNOSE_REQUEST_HTTP},
        {ERR_REPLY, DIAGNOSE_REQUEST_REPLY},
        {ERR_SERVER_ALGORITHM, DIAGNOSE_REQUEST_ALGORITHM},
        {ERR_CA_MISMATCH, DIAGNOSE_REQUEST_REPLY},
        {ERR_CA_EXPIRED, DIAGNOSE_REQUEST_REPLY},
        {ERR_CERTIFICATE_REFUSED, DIAGNOSE_REQUEST_CERTIFICATE},
        {ERR_CHALLENGE_NEEDED, DIAGNOSE_CHALLENGE_NEEDED},
        {ERR_TPM_ABSENT, DIAGNOSE_REQUEST_KEY},
        {ERR_TPM_FAILED, DIAGNOSE_REQUEST_KEY},
        {ERR_TPM_LOCKED_OUT, DIAGNOSE_REQUEST_KEY},
        {ERR_TPM_PERMISSION, DIAGNOSE_REQUEST_KEY},
        {ERR_TPM_OWNER_AUTH, DIAGNOSE_REQUEST_KEY},
        {ERR_TPM_FULL, DIAGNOSE_REQUEST_KEY},
        {ERR_TPM_RESET, DIAGNOSE_REQUEST_KEY},
        {ERR_TPM_CLEARED, DIAGNOSE_REQUEST_KEY},
        {ERR_KEY_NOT_SUPPORTED, DIAGNOSE_REQUEST_KEY},
        {ERR_KEY_FOREIGN, DIAGNOSE_REQUEST_KEY},
        {ERR_KEY_DAMAGED, DIAGNOSE_REQUEST_KEY},
        {ERR_HOST_SECRET, DIAGNOSE_REQUEST_KEY},
};

/* NDES's HRESULT tells more than its failInfo. */
static enum diagnose_code refusal(const struct record *record)
{
        static const struct {
                uint32_t hresult;
                enum diagnose_code code;
        } results[] = {
                {0x80094800, DIAGNOSE_REQUEST_TEMPLATE},
                {0x80094811, DIAGNOSE_REQUEST_KEY_LENGTH},
                {0x800706ba, DIAGNOSE_REQUEST_CA_DOWN},
        };
        static const enum diagnose_code fails[] = {
                [SCEP_BAD_ALG] = DIAGNOSE_REQUEST_ALGORITHM,
                [SCEP_BAD_MESSAGE_CHECK] = DIAGNOSE_REQUEST_INTEGRITY,
                [SCEP_BAD_REQUEST] = DIAGNOSE_REQUEST_CHALLENGE,
                [SCEP_BAD_TIME] = DIAGNOSE_REQUEST_TIME,
                [SCEP_BAD_CERT_ID] = DIAGNOSE_REQUEST_UNKNOWN,
        };

        for (size_t i = 0; i < N_ELEMENTS(results); i++)
                if (record->last_hresult == results[i].hresult)
                        return results[i].code;
        for (size_t i = 0; i < N_ELEMENTS(fails); i++)
                if (strcmp(record->last_fail_info, scep_fail_name((enum scep_fail)i)) == 0)
                        return fails[i];
        return strcmp(record->last_pki_status, scep_status_name(SCEP_PENDING)) == 0
                       ? DIAGNOSE_REQUEST_NOT_APPROVED
                       : DIAGNOSE_REQUEST_FAILED;
}

void findings_request(struct findings *f, const struct record *record)
{
        const enum err error = *record->error_name ? err_from_name(record->error_name) : ERR_OK;
        enum diagnose_code code = DIAGNOSE_REQUEST_FAILED;
        enum activity activity = ACTIVITY_IDLE;

        (void)activity_from_name(record->activity, &activity);
        if (activity == ACTIVITY_PENDING) {
                findings_say(f, DIAGNOSE_REQUEST_PENDING, NULL,
                             "Transaction %s waits; it was asked for %llu times", record->transaction,
                             (unsigned long long)record->polls);
        } else if (activity_is_running(activity)) {
                findings_say(f, DIAGNOSE_REQUEST_RUNNING, NULL, "The activity is '%s'", record->activity);
        } else if (error == ERR_OK && !record->current) {
                findings_say(f, DIAGNOSE_REQUEST_NONE, NULL, "Nothing was requested yet");
        } else if (error == ERR_OK) {
                findings_say(f, DIAGNOSE_REQUEST_OK, NULL, "The last request succeeded%s%s",
                             *record->respondent ? " at " : "", record->respondent);
        } else {
                if (error == ERR_SERVER_REFUSED)
                        code = refusal(record);
                for (size_t i = 0; i < N_ELEMENTS(failures); i++)
                        if (failures[i].error == error)
                                code = failures[i].code;
                findings_say(f, code, *diagnose_row(code)->remedy ? NULL : record->error_remedy, "%s",
                             record->error_message);
        }
}
