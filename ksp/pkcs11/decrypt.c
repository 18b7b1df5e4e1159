/* RSA decryption by the key service, which also takes the padding off. */
#include "internal.h"

#include <string.h>

ck_rv_t decrypt_once(struct module *m, struct session *s, const unsigned char *in, unsigned long in_len,
                     unsigned char *out, unsigned long *out_len)
{
        struct operation *operation = &s->operation;
        CLEANUP(secret_done) struct secret plain = {0};
        ck_rv_t rv = operation_ready(operation, OPERATION_DECRYPT, !out);
        enum err r;

        if (rv != CKR_OK)
                return rv;
        if (!out) {
                *out_len = operation->result_len;
                return CKR_OK;
        }
        if (!in || in_len != operation->input_max) {
                operation_end(operation);
                return in ? CKR_ENCRYPTED_DATA_LEN_RANGE : CKR_ARGUMENTS_BAD;
        }
        rv = identity_key(m, operation->identity);
        if (rv != CKR_OK) {
                operation_end(operation);
                return rv;
        }
        r = channel_key_decrypt(operation->identity->key, &operation->decrypt, (struct view){in, in_len},
                                secret_view(&operation->pin), &plain, NULL);
        if (!r && *out_len < plain.len) { /* the operation goes on */
                *out_len = plain.len;
                return CKR_BUFFER_TOO_SMALL;
        }
        operation_end(operation);
        if (r)
                return r == ERR_INVALID || r == ERR_FAILED ? CKR_ENCRYPTED_DATA_INVALID : rv_of(r);
        memcpy(out, plain.data, plain.len);
        *out_len = plain.len;
        return CKR_OK;
}
