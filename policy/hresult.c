#include "policy/hresult.h"

#include <stddef.h>
#include <string.h>

#include "base/error.h"

static const struct {
        enum err code;
        uint32_t hresult;
} hresults[] = {
        {ERR_NO_MEMORY, 0x8007000e},           /* E_OUTOFMEMORY */
        {ERR_IO, 0x8007001d},                  /* ERROR_WRITE_FAULT */
        {ERR_DISK_FULL, 0x80070070},           /* ERROR_DISK_FULL */
        {ERR_INVALID, 0x80070057},             /* E_INVALIDARG */
        {ERR_PROFILE, 0x80070057},             /* E_INVALIDARG */
        {ERR_VARIABLE, 0x80070490},            /* ERROR_NOT_FOUND */
        {ERR_UNSUPPORTED, 0x80070032},         /* ERROR_NOT_SUPPORTED */
        {ERR_NOT_FOUND, 0x80070490},           /* ERROR_NOT_FOUND */
        {ERR_DENIED, 0x80070005},              /* E_ACCESSDENIED */
        {ERR_TPM_ABSENT, 0x8028400f},          /* TBS_E_TPM_NOT_FOUND */
        {ERR_TPM_LOCKED_OUT, 0x80280803},      /* TPM_E_DEFEND_LOCK_RUNNING */
        {ERR_TPM_PERMISSION, 0x80284012},      /* TBS_E_ACCESS_DENIED */
        {ERR_TPM_FAILED, 0x80284001},          /* TBS_E_INTERNAL_ERROR */
        {ERR_KEY_NOT_SUPPORTED, 0x80090008},   /* NTE_BAD_ALGID */
        {ERR_NETWORK, 0x80072efd},             /* ERROR_INTERNET_CANNOT_CONNECT */
        {ERR_TIMEOUT, 0x80072ee2},             /* ERROR_INTERNET_TIMEOUT */
        {ERR_TLS, 0x80072f8f},                 /* ERROR_INTERNET_SECURE_FAILURE */
        {ERR_HTTP, 0x80190194},                /* HTTP_E_STATUS_NOT_FOUND */
        {ERR_REPLY, 0x80090005},               /* NTE_BAD_DATA */
        {ERR_SERVER_REFUSED, 0x80094014},      /* CERTSRV_E_ADMIN_DENIED_REQUEST */
        {ERR_SERVER_ALGORITHM, 0x80090008},    /* NTE_BAD_ALGID */
        {ERR_CA_MISMATCH, 0x800b0109},         /* CERT_E_UNTRUSTEDROOT */
        {ERR_CA_EXPIRED, 0x800b0101},          /* CERT_E_EXPIRED */
        {ERR_CERTIFICATE_REFUSED, 0x80094800}, /* CERTSRV_E_UNSUPPORTED_CERT_TYPE */
        {ERR_CANCELLED, 0x800704c7},           /* ERROR_CANCELLED */
};

uint32_t hresult_of_error(const char *name)
{
        static const uint32_t e_fail = 0x80004005;

        if (!*name)
                return 0;
        for (size_t i = 0; i < N_ELEMENTS(hresults); i++)
                if (strcmp(err_name(hresults[i].code), name) == 0)
                        return hresults[i].hresult;
        return e_fail;
}
