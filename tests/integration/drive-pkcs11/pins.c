/* Keys that want a PIN for each use: CKA_ALWAYS_AUTHENTICATE, and C_Login for what is going on (§4.9, §5.6).
 */
#include "drive.h"

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char wrong[] = "4711 wrong";
static const unsigned char text[] = "what is signed";

static ck_rv_t login(const struct drive *d, ck_session_handle_t session, const char *pin)
{
        return d->p11->C_Login(session, CKU_CONTEXT_SPECIFIC, (unsigned char *)(size_t)pin, strlen(pin));
}

static void begin(const struct drive *d, ck_session_handle_t session)
{
        struct ck_mechanism m = drive_simple(d->rsa);

        OK(d->p11->C_SignInit(session, &m, d->key));
}

static ck_rv_t sign(const struct drive *d, ck_session_handle_t session)
{
        unsigned char data[sizeof text], signature[BUFFER];
        unsigned long len = sizeof signature;
        ck_rv_t rv;

        memcpy(data, text, sizeof text);
        rv = d->p11->C_Sign(session, data, sizeof data, signature, &len);
        CHECK(rv != CKR_OK || drive_verify_simple(d->pkey, text, sizeof text, signature, len));
        return rv;
}

static void attribute(const struct drive *d, ck_attribute_type_t type, bool wanted)
{
        unsigned char value[BUFFER];

        CHECK(drive_get(d, d->key, type, value) == 1 && value[0] == wanted);
}

static void what_is_said(const struct drive *d)
{
        struct ck_token_info info;

        OK(d->p11->C_GetTokenInfo(d->slot, &info));
        CHECK(info.min_pin_len == 4 && info.max_pin_len == 32 && !(info.flags & CKF_LOGIN_REQUIRED) &&
              info.flags & CKF_USER_PIN_INITIALIZED);
        attribute(d, CKA_ALWAYS_AUTHENTICATE, true);
        attribute(d, CKA_SIGN, true);
        attribute(d, CKA_DERIVE, false);
}

/* Each call that uses the key, without a PIN, says so and ends it; not so the question for a length. */
static void without(const struct drive *d)
{
        unsigned char data[sizeof text], signature[BUFFER];
        unsigned long len = sizeof signature;

        memcpy(data, text, sizeof text);
        WANT(login(d, d->session, d->pin), CKR_OPERATION_NOT_INITIALIZED);
        for (int i = 0; i < 3; i++) {
                begin(d, d->session);
                WANT(d->p11->C_Sign(d->session, data, sizeof data, NULL, &len), CKR_USER_NOT_LOGGED_IN);
                if (i == 0)
                        WANT(sign(d, d->session), CKR_USER_NOT_LOGGED_IN);
                else if (i == 1)
                        WANT(d->p11->C_SignUpdate(d->session, data, sizeof data), CKR_USER_NOT_LOGGED_IN);
                else
                        WANT(d->p11->C_SignFinal(d->session, signature, &len), CKR_USER_NOT_LOGGED_IN);
                WANT(sign(d, d->session), CKR_OPERATION_NOT_INITIALIZED);
                WANT(login(d, d->session, d->pin), CKR_OPERATION_NOT_INITIALIZED);
        }
        /* That of the token is no help, unless it comes where the key's should: GnuTLS has no other. */
        OK(d->p11->C_Login(d->session, CKU_USER, (unsigned char *)(size_t)wrong, strlen(wrong)));
        begin(d, d->session);
        WANT(sign(d, d->session), CKR_USER_NOT_LOGGED_IN);
        begin(d, d->session);
        WANT(d->p11->C_Sign(d->session, data, sizeof data, NULL, &len), CKR_USER_NOT_LOGGED_IN);
        OK(d->p11->C_Login(d->session, CKU_USER, (unsigned char *)(size_t)d->pin, strlen(d->pin)));
        OK(sign(d, d->session));
        OK(d->p11->C_Logout(d->session));
}

/* One PIN, one operation, however it is asked for. */
static void with_one(const struct drive *d)
{
        unsigned char data[sizeof text], signature[BUFFER];
        unsigned long len = 0;

        memcpy(data, text, sizeof text);
        begin(d, d->session);
        OK(login(d, d->session, d->pin));
        OK(login(d, d->session, d->pin));
        OK(d->p11->C_Sign(d->session, data, sizeof data, NULL, &len));
        len--;
        WANT(d->p11->C_Sign(d->session, data, sizeof data, signature, &len), CKR_BUFFER_TOO_SMALL);
        OK(sign(d, d->session));
        begin(d, d->session);
        WANT(sign(d, d->session), CKR_USER_NOT_LOGGED_IN);
        begin(d, d->session);
        OK(login(d, d->session, d->pin));
        OK(d->p11->C_SignUpdate(d->session, data, 5));
        OK(d->p11->C_SignUpdate(d->session, data + 5, sizeof data - 5));
        len = sizeof signature;
        OK(d->p11->C_SignFinal(d->session, signature, &len));
        CHECK(drive_verify_simple(d->pkey, text, sizeof text, signature, len));
}

static void another_session(const struct drive *d)
{
        ck_session_handle_t other;

        OK(d->p11->C_OpenSession(d->slot, CKF_SERIAL_SESSION, NULL, NULL, &other));
        begin(d, d->session);
        WANT(login(d, other, d->pin), CKR_OPERATION_NOT_INITIALIZED);
        begin(d, other);
        OK(login(d, other, d->pin));
        WANT(sign(d, d->session), CKR_USER_NOT_LOGGED_IN);
        OK(sign(d, other));
        OK(d->p11->C_CloseSession(other));
}

/* No PIN of anybody: nothing is tried, and what is going on goes on. */
static void no_pins(const struct drive *d)
{
        begin(d, d->session);
        WANT(login(d, d->session, ""), CKR_PIN_LEN_RANGE);
        WANT(login(d, d->session, "123"), CKR_PIN_LEN_RANGE);
        WANT(login(d, d->session, "123456789012345678901234567890123"), CKR_PIN_LEN_RANGE);
        WANT(d->p11->C_Login(d->session, CKU_CONTEXT_SPECIFIC, NULL, 4), CKR_ARGUMENTS_BAD);
        WANT(d->p11->C_Login(d->session, CKU_CONTEXT_SPECIFIC, NULL, 0), CKR_PIN_LEN_RANGE);
        WANT(login(d, d->session, "1234\n"), CKR_PIN_INCORRECT);
        OK(login(d, d->session, d->pin));
        OK(sign(d, d->session));
}

static void decrypt(const struct drive *d)
{
        struct ck_mechanism m = {CKM_RSA_PKCS, NULL, 0};
        EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, d->pkey, NULL);
        unsigned char in[BUFFER], out[BUFFER];
        unsigned long len = sizeof out;
        size_t in_len = sizeof in;

        CHECK(EVP_PKEY_encrypt_init(ctx) == 1 && EVP_PKEY_encrypt(ctx, in, &in_len, text, sizeof text) == 1);
        EVP_PKEY_CTX_free(ctx);
        OK(d->p11->C_DecryptInit(d->session, &m, d->key));
        WANT(d->p11->C_Decrypt(d->session, in, in_len, out, &len), CKR_USER_NOT_LOGGED_IN);
        OK(d->p11->C_DecryptInit(d->session, &m, d->key));
        OK(login(d, d->session, d->pin));
        WANT(sign(d, d->session), CKR_OPERATION_NOT_INITIALIZED);
        OK(d->p11->C_Decrypt(d->session, in, in_len, NULL, &len));
        OK(d->p11->C_Decrypt(d->session, in, in_len, out, &len));
        CHECK(len == sizeof text && memcmp(out, text, len) == 0);
}

/* The standard has no login between C_DeriveKey and what it does. */
static void derive(const struct drive *d)
{
        unsigned char point[BUFFER];
        struct ck_ecdh1_derive_params params = {.kdf = CKD_NULL, .public_data = point};
        struct ck_mechanism m = {CKM_ECDH1_DERIVE, &params, sizeof params};
        ck_object_handle_t made;

        params.public_data_len = drive_get(d, d->public, CKA_EC_POINT, point);
        WANT(d->p11->C_DeriveKey(d->session, &m, d->key, NULL, 0, &made), CKR_KEY_FUNCTION_NOT_PERMITTED);
}

void case_pin(struct drive *d)
{
        drive_open(d);
        what_is_said(d);
        without(d);
        with_one(d);
        another_session(d);
        no_pins(d);
        if (d->rsa)
                decrypt(d);
        else
                derive(d);
        begin(d, d->session); /* and ends with one going on */
        OK(login(d, d->session, d->pin));
        drive_close(d);
}

/* Five tries, of which a right one between gives all back. */
void case_pin_wrong(struct drive *d)
{
        struct ck_session_info info;

        drive_open(d);
        begin(d, d->session);
        WANT(login(d, d->session, wrong), CKR_PIN_INCORRECT);
        WANT(sign(d, d->session), CKR_USER_NOT_LOGGED_IN);
        begin(d, d->session);
        for (int i = 0; i < 3; i++)
                WANT(login(d, d->session, wrong), CKR_PIN_INCORRECT);
        OK(login(d, d->session, d->pin));
        OK(sign(d, d->session));
        OK(d->p11->C_Login(d->session, CKU_USER, NULL, 0));
        begin(d, d->session);
        for (int i = 0; i < 5; i++)
                WANT(login(d, d->session, wrong), CKR_PIN_INCORRECT);
        OK(d->p11->C_GetSessionInfo(d->session, &info));
        CHECK(info.state == CKS_RO_USER_FUNCTIONS);
        WANT(login(d, d->session, d->pin), CKR_PIN_LOCKED);
        OK(d->p11->C_GetSessionInfo(d->session, &info));
        CHECK(info.state == CKS_RO_PUBLIC_SESSION);
        WANT(sign(d, d->session), CKR_USER_NOT_LOGGED_IN);
        drive_close(d);
}

/* A key without a PIN: the login is refused and changes nothing. */
void case_pin_none(struct drive *d)
{
        drive_open(d);
        attribute(d, CKA_ALWAYS_AUTHENTICATE, false);
        begin(d, d->session);
        WANT(login(d, d->session, wrong), CKR_OPERATION_NOT_INITIALIZED);
        OK(sign(d, d->session));
        drive_close(d);
}

/* A child has what was going on, and not its PIN. */
void case_pin_fork(struct drive *d)
{
        int status = 0;
        pid_t child;

        drive_open(d);
        begin(d, d->session);
        OK(login(d, d->session, d->pin));
        child = fork();
        CHECK(child >= 0);
        if (child == 0) {
                WANT(sign(d, d->session), CKR_USER_NOT_LOGGED_IN);
                begin(d, d->session);
                OK(login(d, d->session, d->pin));
                OK(sign(d, d->session));
                _exit(0);
        }
        CHECK(waitpid(child, &status, 0) == child && status == 0);
        OK(sign(d, d->session));
        drive_close(d);
}
