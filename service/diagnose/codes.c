#include "codes.h"

static const struct diagnose_row rows[_DIAGNOSE_MAX] = {
#define X(code, name, step, result, cause, remedy) [DIAGNOSE_##code] = {name, step, result, cause, remedy},
        DIAGNOSE_TABLE(X)
#undef X
};

static const char *const step_names[_STEP_MAX] = {
        [STEP_PROFILE] = "profile",
        [STEP_KEYS] = "keys",
        [STEP_DNS] = "dns",
        [STEP_TCP] = "tcp",
        [STEP_TLS] = "tls",
        [STEP_CLOCK] = "clock",
        [STEP_URL] = "url",
        [STEP_CAPS] = "caps",
        [STEP_CA] = "ca",
        [STEP_CHALLENGE] = "challenge",
        [STEP_REQUEST] = "request",
        [STEP_CERTIFICATE] = "certificate",
        [STEP_REVOCATION] = "revocation",
        [STEP_CONSUMERS] = "consumers",
        [STEP_RENEWAL] = "renewal",
};

const struct diagnose_row *diagnose_row(enum diagnose_code code)
{
        return &rows[code];
}

const char *diagnose_step_name(enum diagnose_step step)
{
        return step_names[step];
}

const char *diagnose_result_name(enum diagnose_result result)
{
        static const char *const names[] = {
                [RESULT_OK] = "ok", [RESULT_NOTE] = "note", [RESULT_FAULT] = "fault"};

        return names[result];
}
