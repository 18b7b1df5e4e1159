/*
 * Calls of the PKCS#11 module, as the input says: four octets about all of them, then a record for each,
 * which function, which handles, templates, lengths. Each buffer is as long as the module is told. Behind it
 * is a small key service (pkcs11-server.h), whose answers are damaged as often as the first octet of the
 * input says: a service is trusted, but a browser must not fall over what it sends.
 */
#define CRYPTOKI_GNU 1
#include <p11-kit/pkcs11.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"
#include "pkcs11-server.h"

enum {
        STEPS_MAX = 64,
        RECORD = 24,
        SESSIONS = 4,
        OBJECTS = 64,
        PIECES = 64,
        TEMPLATE_MAX = 5,
        PIECE_MAX = 1024
};

struct run {
        struct ck_function_list *p11;
        const uint8_t *at, *end;
        ck_session_handle_t sessions[SESSIONS];
        ck_object_handle_t objects[OBJECTS];
        unsigned long n_objects;
        void *pieces[PIECES]; /* of this step */
        size_t n_pieces;
};

static uint8_t octet(struct run *r)
{
        return r->at < r->end ? *r->at++ : 0;
}

static unsigned long number(struct run *r)
{
        static const unsigned long edges[] = {0, 1, (unsigned long)-1, 1UL << 32, 20, 222, 32};
        const uint8_t one = octet(r);

        return one & 0x80 ? edges[one % N_ELEMENTS(edges)] : one;
}

/* Memory of exactly that size. */
static void *memory(struct run *r, size_t len)
{
        void *p = malloc(len ? len : 1);

        if (!p || r->n_pieces == PIECES)
                abort();
        r->pieces[r->n_pieces++] = p;
        return p;
}

static void *piece(struct run *r, size_t len)
{
        return memset(memory(r, len), octet(r), len);
}

static void *copy(struct run *r, const void *from, size_t len)
{
        return memcpy(memory(r, len), from, len);
}

/* Mostly what a key can do something with, else @len octets. */
static void *input(struct run *r, size_t *len)
{
        const uint8_t which = octet(r);
        const struct view good = pkcs11_server_input(which);

        if (which >= 128)
                return piece(r, *len);
        *len = good.len;
        return copy(r, good.data, good.len);
}

static size_t some_length(struct run *r)
{
        static const size_t lengths[] = {0,  1,  8,   20,  32,  64,  65,        67,
                                         96, 97, 255, 256, 257, 512, PIECE_MAX, 1000};

        return lengths[octet(r) % N_ELEMENTS(lengths)];
}

static ck_session_handle_t session(struct run *r)
{
        const uint8_t which = octet(r);

        return which < 250 ? r->sessions[which % SESSIONS] : which;
}

static ck_object_handle_t object(struct run *r)
{
        const uint8_t which = octet(r);

        return r->n_objects && which < 250 ? r->objects[which % r->n_objects] : which;
}

static struct ck_attribute *template(struct run *r, unsigned long *n)
{
        static const ck_attribute_type_t types[] = {
                CKA_CLASS,
                CKA_TOKEN,
                CKA_PRIVATE,
                CKA_LABEL,
                CKA_ID,
                CKA_VALUE,
                CKA_VALUE_LEN,
                CKA_KEY_TYPE,
                CKA_SUBJECT,
                CKA_ISSUER,
                CKA_SERIAL_NUMBER,
                CKA_MODULUS,
                CKA_MODULUS_BITS,
                CKA_EC_POINT,
                CKA_EC_PARAMS,
                CKA_PUBLIC_EXPONENT,
                CKA_PUBLIC_KEY_INFO,
                CKA_SENSITIVE,
                CKA_EXTRACTABLE,
                CKA_START_DATE,
                CKA_END_DATE,
                CKA_PRIME_1,
                CKA_CERTIFICATE_CATEGORY,
                CKA_DECRYPT,
                CKA_ALWAYS_AUTHENTICATE,
        };
        struct ck_attribute *t;

        *n = octet(r) % (TEMPLATE_MAX + 1);
        t = piece(r, *n * sizeof *t);
        for (unsigned long i = 0; i < *n; i++) {
                const uint8_t kind = octet(r);
                const unsigned long class = kind % 5;
                const size_t len = some_length(r);

                t[i].type = kind < 240 ? types[kind % N_ELEMENTS(types)] : number(r);
                t[i].value_len = len;
                t[i].value = kind % 7 ? piece(r, len) : NULL;
                if (t[i].type == CKA_CLASS && kind & 1) {
                        t[i].value = copy(r, &class, sizeof class);
                        t[i].value_len = sizeof class;
                } else if (t[i].type == CKA_ID && kind & 1) {
                        t[i].value = copy(r, pkcs11_server_id(kind), 20);
                        t[i].value_len = 20;
                }
        }
        return t;
}

static struct ck_mechanism mechanism(struct run *r)
{
        static const ck_mechanism_type_t types[] = {
                CKM_RSA_PKCS,     CKM_SHA1_RSA_PKCS,       CKM_SHA256_RSA_PKCS,     CKM_SHA512_RSA_PKCS,
                CKM_RSA_PKCS_PSS, CKM_SHA256_RSA_PKCS_PSS, CKM_SHA512_RSA_PKCS_PSS, CKM_RSA_PKCS_OAEP,
                CKM_ECDSA,        CKM_ECDSA_SHA256,        CKM_ECDSA_SHA384,        CKM_ECDH1_DERIVE,
        };
        static const ck_mechanism_type_t hashes[] = {CKM_SHA_1, CKM_SHA256, CKM_SHA512, CKM_MD5};
        const uint8_t kind = octet(r);
        struct ck_mechanism m = {kind < 250 ? types[kind % N_ELEMENTS(types)] : number(r), NULL, 0};
        const size_t len = some_length(r);

        if (octet(r) % 8 == 0) {
                m.parameter = octet(r) % 2 ? piece(r, len) : NULL;
                m.parameter_len = len;
        } else if (m.mechanism == CKM_RSA_PKCS_PSS || m.mechanism == CKM_SHA256_RSA_PKCS_PSS ||
                   m.mechanism == CKM_SHA512_RSA_PKCS_PSS) {
                const struct ck_rsa_pkcs_pss_params params = {hashes[octet(r) % 4], octet(r) % 7, number(r)};

                m.parameter = copy(r, &params, sizeof params);
                m.parameter_len = sizeof params;
        } else if (m.mechanism == CKM_RSA_PKCS_OAEP) {
                const struct ck_rsa_pkcs_oaep_params params = {hashes[octet(r) % 4], octet(r) % 7,
                                                               octet(r) % 2, piece(r, len), len};

                m.parameter = copy(r, &params, sizeof params);
                m.parameter_len = sizeof params;
        } else if (m.mechanism == CKM_ECDH1_DERIVE) {
                size_t point_len = len;
                void *point = input(r, &point_len);
                const struct ck_ecdh1_derive_params params = {
                        .kdf = CKD_NULL + octet(r) / 200, .public_data = point, .public_data_len = point_len};

                m.parameter = copy(r, &params, sizeof params);
                m.parameter_len = sizeof params;
        }
        return m;
}

static void remember(struct run *r, ck_object_handle_t handle)
{
        if (r->n_objects < OBJECTS)
                r->objects[r->n_objects++] = handle;
}

static void find(struct run *r)
{
        const ck_session_handle_t s = session(r);
        unsigned long n, found = 0;
        struct ck_attribute *t = template(r, &n);
        ck_object_handle_t *some = piece(r, 8 * sizeof *some);

        (void)r->p11->C_FindObjectsInit(s, t, n);
        n = octet(r) % 9;
        if (r->p11->C_FindObjects(s, some, n, &found) == CKR_OK) {
                fuzz_promise(found <= n, "no more is found than there is room for");
                for (unsigned long i = 0; i < found; i++)
                        remember(r, some[i]);
        }
        if (octet(r) % 8)
                (void)r->p11->C_FindObjectsFinal(s);
}

static void attributes(struct run *r)
{
        size_t room[TEMPLATE_MAX];
        unsigned long n;
        const ck_session_handle_t s = session(r);
        const ck_object_handle_t o = object(r);
        struct ck_attribute *t = template(r, &n);

        for (unsigned long i = 0; i < n; i++)
                room[i] = t[i].value ? t[i].value_len : PIECE_MAX * 8;
        if (r->p11->C_GetAttributeValue(s, o, t, n) != CKR_OK)
                return;
        for (unsigned long i = 0; i < n; i++)
                fuzz_promise(t[i].value_len <= room[i], "a value is as long as its room");
}

static void out_of(struct run *r, uint8_t which)
{
        const ck_session_handle_t s = session(r);
        size_t in_len = some_length(r), room = some_length(r);
        unsigned char *in = which == 1 ? input(r, &in_len) : piece(r, in_len),
                      *out = octet(r) % 8 ? piece(r, room) : NULL;
        unsigned long len = room;
        ck_rv_t rv;

        if (which == 0)
                rv = r->p11->C_Sign(s, in, in_len, out, &len);
        else if (which == 1)
                rv = r->p11->C_Decrypt(s, in, in_len, out, &len);
        else
                rv = r->p11->C_SignFinal(s, out, &len);
        fuzz_promise(rv != CKR_OK || !out || len <= room, "what comes out has room");
}

static void begin(struct run *r, uint8_t which)
{
        struct ck_mechanism m = mechanism(r);
        const ck_session_handle_t s = session(r);
        const ck_object_handle_t o = object(r);
        unsigned long n;
        struct ck_attribute *t = which == 2 ? template(r, &n) : NULL;
        ck_object_handle_t made = 0;

        if (which == 0)
                (void)r->p11->C_SignInit(s, &m, o);
        else if (which == 1)
                (void)r->p11->C_DecryptInit(s, &m, o);
        else if (r->p11->C_DeriveKey(s, &m, o, t, n, &made) == CKR_OK)
                remember(r, made);
}

/* At the token, or for what is going on: mostly the right PIN. */
static void login(struct run *r, ck_session_handle_t s)
{
        const ck_user_type_t user = octet(r) % 4;
        const uint8_t which = octet(r);
        const size_t len = which < 128 ? strlen(pkcs11_server_pin) : octet(r) % 48;
        unsigned char *pin = which < 128 ? copy(r, pkcs11_server_pin, len) : piece(r, len);

        (void)r->p11->C_Login(s, user, which % 16 ? pin : NULL, len);
}

static void sessions(struct run *r)
{
        const uint8_t which = octet(r);
        ck_session_handle_t *s = &r->sessions[which % SESSIONS];
        struct ck_session_info info;

        switch (which >> 5) {
        case 0:
        case 1:
        case 2:
                (void)r->p11->C_OpenSession(which & 16 ? (ck_slot_id_t)geteuid() + 1 : number(r),
                                            CKF_SERIAL_SESSION, NULL, NULL, s);
                break;
        case 3:
                (void)r->p11->C_CloseSession(*s);
                break;
        case 4:
                login(r, *s);
                break;
        case 5:
                (void)r->p11->C_GetSessionInfo(*s, &info);
                break;
        case 6:
                (void)r->p11->C_CloseAllSessions(number(r));
                break;
        default:
                (void)r->p11->C_Logout(*s);
        }
}

static void slots(struct run *r)
{
        unsigned long n = octet(r) % 6;
        ck_slot_id_t *list = piece(r, n * sizeof *list);
        struct ck_slot_info slot;
        struct ck_token_info token;
        ck_rv_t rv = r->p11->C_GetSlotList(octet(r) % 2, octet(r) % 2 ? list : NULL, &n);

        fuzz_promise(rv == CKR_OK || rv == CKR_BUFFER_TOO_SMALL || rv == CKR_HOST_MEMORY,
                     "slots are listed whatever the service says");
        (void)r->p11->C_GetSlotInfo(number(r), &slot);
        (void)r->p11->C_GetTokenInfo(number(r), &token);
}

static void step(struct run *r)
{
        const uint8_t what = octet(r);
        size_t len;

        switch (what % 12) {
        case 0:
                sessions(r);
                break;
        case 1:
        case 2:
                find(r);
                break;
        case 3:
                attributes(r);
                break;
        case 4:
        case 5:
        case 6:
                begin(r, what % 3);
                break;
        case 7:
        case 8:
        case 9:
                out_of(r, what % 3);
                break;
        case 10:
                len = some_length(r);
                (void)r->p11->C_SignUpdate(session(r), piece(r, len), len);
                break;
        default:
                if (what & 0x80)
                        (void)r->p11->C_DestroyObject(session(r), object(r));
                else
                        slots(r);
        }
        while (r->n_pieces)
                free(r->pieces[--r->n_pieces]);
}

/* What there is to begin with: private keys, of which nothing else is known yet, or all objects. */
static void find_keys(struct run *r, bool all)
{
        ck_object_class_t class = CKO_PRIVATE_KEY;
        struct ck_attribute t = {CKA_CLASS, &class, sizeof class};

        for (unsigned i = 2; i < SESSIONS; i++) {
                unsigned long found = 0;

                fuzz_promise(r->p11->C_FindObjectsInit(r->sessions[i], &t, all ? 0 : 1) == CKR_OK &&
                                     r->p11->C_FindObjects(r->sessions[i], r->objects + r->n_objects,
                                                           OBJECTS - r->n_objects, &found) == CKR_OK &&
                                     r->p11->C_FindObjectsFinal(r->sessions[i]) == CKR_OK && found >= 1,
                             "keys are found");
                r->n_objects += found;
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static bool started;
        struct run r = {.at = data, .end = data + (size < 4 ? size : 4)};
        uint32_t seed;
        uint8_t damage, kind;

        if (!started)
                pkcs11_server_start();
        started = true;
        fuzz_promise(C_GetFunctionList(&r.p11) == CKR_OK, "there are functions");
        damage = octet(&r);
        seed = (uint32_t)octet(&r) << 8;
        seed |= octet(&r);
        kind = octet(&r);
        pkcs11_server_set(seed, 0, false);
        fuzz_promise(r.p11->C_Initialize(NULL) == CKR_OK, "it begins");
        for (unsigned i = 0; i < SESSIONS; i++)
                fuzz_promise(r.p11->C_OpenSession(i < 3 ? 0 : (ck_slot_id_t)geteuid() + 1, CKF_SERIAL_SESSION,
                                                  NULL, NULL, &r.sessions[i]) == CKR_OK,
                             "sessions can be opened");
        find_keys(&r, kind & 1);
        pkcs11_server_set(seed, damage < 128 ? 0 : damage, kind & 2);
        for (unsigned i = 0; i < STEPS_MAX && data + size > r.end; i++) {
                r.at = r.end;
                r.end = r.at +
                        ((size_t)(data + size - r.at) < RECORD ? (size_t)(data + size - r.at) : RECORD);
                step(&r);
        }
        fuzz_promise(r.p11->C_Finalize(NULL) == CKR_OK, "it ends");
        return 0;
}
