/* service/scep/open: CertReps that must be taken, and those that must not. */
#include "rep.h"

#include "keys/unwrap.h"
#include "scep-open/reply.h"

#define ID "00112233445566778899aabbccddeeff00112233"

static const uint8_t nonce[16] = "0123456789abcdef", other_nonce[16] = "fedcba9876543210";
static X509 *ra, *ca, *stranger, *own, *other, *issued, *ec, *ec_other;
static struct bytes issued_der;

static int make(void **state)
{
        X509 *chain[2];

        (void)state;
        ca = pki_cert(&(struct pki_spec){.subject = "CA", .key = 1, .ca = true});
        ra = pki_cert(
                &(struct pki_spec){.subject = "RA", .issuer = ca, .issuer_key = 1, .key = 2, .serial = 2});
        stranger = pki_cert(&(struct pki_spec){.subject = "stranger", .key = 3});
        own = pki_cert(&(struct pki_spec){.subject = "device", .key = 4, .serial = 5});
        other = pki_cert(&(struct pki_spec){.subject = "another", .key = 5, .serial = 6});
        issued = pki_cert(&(struct pki_spec){
                .subject = "device", .issuer = ca, .issuer_key = 1, .key = 4, .serial = 77});
        ec = pki_cert(&(struct pki_spec){.subject = "device", .ec = true, .serial = 7});
        ec_other = pki_cert(&(struct pki_spec){.subject = "another", .ec = true, .serial = 8});
        chain[0] = issued;
        chain[1] = ca;
        issued_der = pki_degenerate(chain, 2);
        return 0;
}

static int drop(void **state)
{
        (void)state;
        X509_free(ra), X509_free(ca), X509_free(stranger), X509_free(own), X509_free(other),
                X509_free(issued), X509_free(ec), X509_free(ec_other);
        bytes_done(&issued_der);
        return 0;
}

/* A SUCCESS as it should be. */
static struct rep good(void)
{
        return (struct rep){.type = "3",
                            .status = "0",
                            .transaction = ID,
                            .nonce = {nonce, sizeof nonce},
                            .recipient = own,
                            .payload = bytes_view(&issued_der),
                            .signer = ra,
                            .signer_key = pki_key(2)};
}

static struct reply_spec spec_for(const struct bytes *der, STACK_OF(X509) * signers)
{
        return (struct reply_spec){.reply = bytes_view(der),
                                   .signers = signers,
                                   .transaction = ID,
                                   .nonce = {nonce, sizeof nonce},
                                   .recipient = own,
                                   .key = pki_key(4),
                                   .transport = true,
                                   .now = time(NULL)};
}

static STACK_OF(X509) * signers_of(void)
{
        X509 *list[2] = {ca, ra};

        return pki_stack(list, 2);
}

static enum err open_it(const struct rep *rep, bool allow_des, struct reply *ret, struct error *e)
{
        CLEANUP(bytes_done) struct bytes der = rep_make(rep);
        CLEANUP(x509_stack_free_p) STACK_OF(X509) *signers = signers_of();
        struct reply_spec spec = spec_for(&der, signers);

        spec.allow_des = allow_des;
        return reply_open(&spec, ret, e);
}

static void taken(void **state)
{
        struct reply reply = {0};
        struct error e = {0};
        struct rep rep;

        (void)state;
#define TAKEN(status_wanted)                                                                                 \
        expect_ok(open_it(&rep, false, &reply, &e));                                                         \
        assert_int_equal(reply.status, status_wanted)

        rep = good();
        TAKEN(SCEP_SUCCESS);
        assert_int_equal(sk_X509_num(reply.certs), 2);
        assert_int_equal(reply.notes, 0);
        reply_done(&reply);

        rep.carry = rep.ber = true;
        TAKEN(SCEP_SUCCESS);
        assert_int_equal(sk_X509_num(reply.certs), 2);
        reply_done(&reply);

        rep = good();
        rep.cipher = "DES-EDE3-CBC";
        rep.digest = "SHA1";
        rep.signing_time = time(NULL) - 3600;
        TAKEN(SCEP_SUCCESS);
        assert_int_equal(reply.notes, SCEP_NOTE_DES3 | SCEP_NOTE_SHA1 | SCEP_NOTE_SIGNING_TIME);
        reply_done(&reply);

        rep = good();
        rep.cipher = "AES-256-CBC";
        rep.digest = "SHA512";
        rep.signer = ca; /* any of the chained set */
        rep.signer_key = pki_key(1);
        TAKEN(SCEP_SUCCESS);
        reply_done(&reply);

        rep = good();
        rep.content = REP_ABSENT;
        rep.status = "3";
        TAKEN(SCEP_PENDING);
        assert_null(reply.certs);
        reply_done(&reply);
        rep.content = REP_ONE_OCTET;
        TAKEN(SCEP_PENDING);
        reply_done(&reply);

        /* NDES, as decoded from a real one. */
        rep.status = "2";
        rep.fail = "2";
        rep.ms_error = "-2147024809";
        rep.digest = "SHA1";
        TAKEN(SCEP_FAILURE);
        assert_int_equal(reply.fail, SCEP_BAD_REQUEST);
        assert_true(reply.has_hresult);
        assert_int_equal(reply.hresult, 0x80070057);
        assert_int_equal(reply.notes, SCEP_NOTE_SHA1);
        reply_done(&reply);

        rep.content = REP_ABSENT;
        rep.fail = "4";
        rep.text = "no such \xff request";
        rep.ms_error = "junk";
        TAKEN(SCEP_FAILURE);
        assert_int_equal(reply.fail, SCEP_BAD_CERT_ID);
        assert_string_equal(reply.text, "no such ? request");
        assert_false(reply.has_hresult);
        reply_done(&reply);

        rep.content = REP_ENVELOPE; /* ignored */
        rep.fail = NULL;
        rep.text = NULL;
        TAKEN(SCEP_FAILURE);
        assert_int_equal(reply.fail, SCEP_FAIL_NONE);
        assert_int_equal(reply.notes, SCEP_NOTE_FAIL_INFO_ABSENT | SCEP_NOTE_SHA1);
        reply_done(&reply);
}

static void refused(void **state)
{
        struct error e;
        struct reply reply = {0};
        struct rep rep;
        struct bytes empty = pki_degenerate(NULL, 0);

        (void)state;
#define REFUSED(member, value, code, says)                                                                   \
        rep = good();                                                                                        \
        rep.member = value;                                                                                  \
        expect_err(open_it(&rep, false, &reply, &e), code);                                                  \
        if (!strstr(e.message, says))                                                                        \
        fail_msg("'%s' is not in: %s", says, e.message)

        REFUSED(nonce, ((struct view){other_nonce, 16}), ERR_REPLY, "recipientNonce");
        REFUSED(nonce, ((struct view){nonce, 8}), ERR_REPLY, "(8 octets)");
        REFUSED(nonce, ((struct view){NULL, 0}), ERR_REPLY, "no recipientNonce");
        REFUSED(transaction, "00112233445566778899aabbccddeeff00112234", ERR_REPLY, "transaction");
        REFUSED(transaction, NULL, ERR_REPLY, "no transactionID");
        REFUSED(type, "18", ERR_REPLY, "'18'");
        REFUSED(type, "19", ERR_REPLY, "'19'");
        REFUSED(type, NULL, ERR_REPLY, "no messageType");
        REFUSED(status, "1", ERR_REPLY, "'1'");
        REFUSED(status, "4", ERR_REPLY, "'4'");
        REFUSED(status, "", ERR_REPLY, "''");
        REFUSED(status, NULL, ERR_REPLY, "no pkiStatus");
        REFUSED(content, REP_ABSENT, ERR_REPLY, "no envelope");
        REFUSED(content, REP_ONE_OCTET, ERR_REPLY, "no envelope");
        REFUSED(content, REP_JUNK, ERR_REPLY, "not an envelope");
        REFUSED(content, REP_PLAIN_SIGNED, ERR_REPLY, "pkcs7-signedData");
        REFUSED(recipient, other, ERR_REPLY, "another certificate");
        REFUSED(payload, str_view("junk"), ERR_REPLY, "envelope");
        REFUSED(payload, bytes_view(&empty), ERR_REPLY, "without a certificate");
        REFUSED(odd_content_type, true, ERR_REPLY, "instead of data");
        REFUSED(cipher, "DES-CBC", ERR_SERVER_ALGORITHM, "single DES");
        REFUSED(cipher, "RC2-CBC", ERR_SERVER_ALGORITHM, "rc2");
        REFUSED(digest, "MD5", ERR_SERVER_ALGORITHM, "md5");

        rep = good();
        rep.status = "2";
        rep.fail = "9";
        expect_err(open_it(&rep, false, &reply, &e), ERR_REPLY);
        assert_non_null(strstr(e.message, "'9'"));

        /* A signer that only the reply vouches for. */
        rep = good();
        rep.signer = stranger;
        rep.signer_key = pki_key(3);
        rep.carry = true;
        expect_err(open_it(&rep, false, &reply, &e), ERR_REPLY);
        assert_non_null(strstr(e.message, "CN=stranger"));
        /* Nor our own self-signed certificate. */
        rep.signer = own;
        rep.signer_key = pki_key(4);
        expect_err(open_it(&rep, false, &reply, &e), ERR_REPLY);
        assert_null(reply.certs);
        bytes_done(&empty);
}

static void single_des(void **state)
{
        struct rep rep = good();
        struct reply reply = {0};
        struct error e = {0};

        (void)state;
        rep.cipher = "DES-CBC";
        expect_ok(open_it(&rep, true, &reply, &e));
        assert_int_equal(reply.notes, SCEP_NOTE_DES);
        assert_int_equal(sk_X509_num(reply.certs), 2);
        reply_done(&reply);
}

/* A forged certificate by the RA's name and serial, and a changed octet: the signature says no. */
static void forged(void **state)
{
        CLEANUP(x509_free_p)
        X509 *twin = pki_cert(
                &(struct pki_spec){.subject = "RA", .issuer = ca, .issuer_key = 3, .key = 3, .serial = 2});
        CLEANUP(x509_stack_free_p) STACK_OF(X509) *signers = signers_of();
        struct rep rep = good();
        struct bytes der;
        struct reply_spec spec;
        struct reply reply = {0};
        struct error e;

        (void)state;
        rep.signer = twin;
        rep.signer_key = pki_key(3);
        rep.carry = true;
        expect_err(open_it(&rep, false, &reply, &e), ERR_REPLY);
        assert_non_null(strstr(e.message, "signature"));
        rep = good();
        der = rep_make(&rep);
        der.data[der.len / 2] ^= 1;
        spec = spec_for(&der, signers);
        expect_err(reply_open(&spec, &reply, &e), ERR_REPLY);
        bytes_done(&der);
}

struct unwrapping {
        const char *password;
        unsigned calls;
};

static enum err unwrap(void *ctx, const struct key_unwrap *how, struct view wrapped, struct secret *ret,
                       struct error *e)
{
        struct unwrapping *with = ctx;

        with->calls++;
        return password_unwrap(str_view(with->password), how, wrapped, ret, e);
}

static enum err open_by(const struct rep *rep, bool agreement, struct unwrapping *with, struct reply *ret,
                        struct error *e)
{
        CLEANUP(bytes_done) struct bytes der = rep_make(rep);
        CLEANUP(x509_stack_free_p) STACK_OF(X509) *signers = signers_of();
        struct reply_spec spec = spec_for(&der, signers);

        spec.transport = false;
        spec.allow_des = true;
        spec.recipient = ec;
        spec.key = pki_ec_key();
        spec.agreement = agreement;
        spec.unwrap = with ? unwrap : NULL;
        spec.unwrap_ctx = with;
        return reply_open(&spec, ret, e);
}

static void T3_reply_by_key_agreement(void **state)
{
        static const char *const ciphers[] = {"AES-128-CBC", "AES-192-CBC", "AES-256-CBC", "DES-EDE3-CBC"};
        struct reply reply = {0};
        struct error e = {0};
        struct rep rep = good();

        (void)state;
        rep.recipient = ec;
        for (size_t i = 0; i < N_ELEMENTS(ciphers); i++) {
                for (int ber = 0; ber < 2; ber++) {
                        rep.cipher = ciphers[i];
                        rep.ber = ber;
                        if (open_by(&rep, true, NULL, &reply, &e))
                                fail_msg("%s: %s", ciphers[i], e.message);
                        assert_int_equal(sk_X509_num(reply.certs), 2);
                        reply_done(&reply);
                }
        }
        rep = good();
        rep.recipient = ec;
        expect_err(open_by(&rep, false, NULL, &reply, &e), ERR_REPLY);
        assert_non_null(strstr(e.message, "key agreement, and no such reply was asked for"));
        expect_err(open_it(&rep, false, &reply, &e), ERR_REPLY);
        rep.recipient = ec_other;
        expect_err(open_by(&rep, true, NULL, &reply, &e), ERR_REPLY);
        assert_non_null(strstr(e.message, "another certificate"));
        rep = good(); /* RSA, to a key that is none */
        expect_err(open_by(&rep, true, NULL, &reply, &e), ERR_REPLY);
        assert_non_null(strstr(e.message, "key transport, and no such reply"));
}

static void T3_reply_by_password(void **state)
{
        static const char *const ciphers[] = {"AES-128-CBC", "AES-192-CBC", "AES-256-CBC", "DES-EDE3-CBC"};
        struct unwrapping with = {"word", 0};
        struct reply reply = {0};
        struct error e = {0};
        struct rep rep = good();

        (void)state;
        rep.password = "word";
        for (size_t i = 0; i < N_ELEMENTS(ciphers); i++) {
                for (int ber = 0; ber < 2; ber++) {
                        rep.cipher = ciphers[i];
                        rep.ber = ber;
                        with.calls = 0;
                        if (open_by(&rep, true, &with, &reply, &e))
                                fail_msg("%s: %s", ciphers[i], e.message);
                        assert_int_equal(with.calls, 1);
                        assert_int_equal(sk_X509_num(reply.certs), 2);
                        reply_done(&reply);
                }
        }
        rep.cipher = NULL;
        rep.ber = false;
        rep.iterations = KEY_ITERATIONS_MAX;
        expect_ok(open_by(&rep, true, &with, &reply, &e));
        reply_done(&reply);
        with.calls = 0;
        rep.iterations++; /* judged before anybody does them */
        expect_err(open_by(&rep, true, &with, &reply, &e), ERR_SERVER_ALGORITHM);
        assert_int_equal(with.calls, 0);
        rep.iterations = 0;
        expect_err(open_by(&rep, true, NULL, &reply, &e), ERR_REPLY);
        assert_non_null(strstr(e.message, "password, and no such reply was asked for"));
        for (int i = 0; i < 300; i++) { /* one in 2^24 of other passwords passes for the right one */
                char word[16];

                snprintf(word, sizeof word, "wrong%d", i);
                with.password = word;
                expect_err(open_by(&rep, true, &with, &reply, &e), ERR_REPLY);
                assert_non_null(strstr(e.message, "another password"));
        }
}

static void wrong_key(void **state)
{
        CLEANUP(x509_stack_free_p) STACK_OF(X509) *signers = signers_of();
        struct rep rep = good();
        struct bytes der = rep_make(&rep);
        struct reply_spec spec = spec_for(&der, signers);
        struct reply reply = {0};
        struct error e;

        (void)state;
        spec.key = pki_key(6);
        for (int i = 0; i < 50; i++)
                expect_err(reply_open(&spec, &reply, &e), ERR_REPLY);
        bytes_done(&der);
}

static void T6_not_cms(void **state)
{
        static const uint8_t stub[] = {0x30, 0x0b, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2};
        static const char *const bodies[] = {"", "<html><body>portal</body></html>", "Internal error",
                                             "\x30\x80", "\x30\x03\x02\x01\x00"};
        CLEANUP(x509_stack_free_p) STACK_OF(X509) *signers = signers_of();
        struct rep rep = good();
        struct bytes whole = rep_make(&rep);
        struct reply reply = {0};
        struct error e;

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(bodies); i++) {
                struct reply_spec spec = spec_for(&whole, signers);

                spec.reply = str_view(bodies[i]);
                expect_err(reply_open(&spec, &reply, &e), ERR_REPLY);
        }
        {
                struct reply_spec spec = spec_for(&whole, signers);

                spec.reply = (struct view){stub, sizeof stub}; /* signedData, and nothing of it */
                assert_int_equal(sizeof stub, 13);
                expect_err(reply_open(&spec, &reply, &e), ERR_REPLY);
        }
        for (size_t len = 0; len < whole.len; len++) {
                struct reply_spec spec = spec_for(&whole, signers);

                spec.reply.len = len;
                expect_err(reply_open(&spec, &reply, &e), ERR_REPLY);
        }
        whole.data[whole.len] = 0;
        {
                struct reply_spec spec = spec_for(&whole, signers);

                spec.reply.len++; /* bytes_copy() put a NUL there */
                expect_err(reply_open(&spec, &reply, &e), ERR_REPLY);
                assert_non_null(strstr(e.message, "followed by 1"));
        }
        bytes_done(&whole);
}

/* Whatever a changed reply does, it is refused or still ours; and what a server could sign and envelope is
 * read without harm. */
static void mutations(void **state)
{
        CLEANUP(x509_stack_free_p) STACK_OF(X509) *signers = signers_of();
        struct rep rep = good();
        struct bytes der = rep_make(&rep);
        uint32_t seed = 777;

        (void)state;
        for (int i = 0; i < 1500; i++) {
                struct bytes m = mutate(bytes_view(&der), &seed);
                struct reply_spec spec = spec_for(&m, signers);
                struct reply reply = {0};

                (void)!reply_open(&spec, &reply, NULL);
                reply_done(&reply);
                bytes_done(&m);
        }
        for (int way = 0; way < 2; way++) {
                /* The envelope itself, as a server that is ours could make it. */
                struct unwrapping with = {"word", 0};
                struct rep odd = good();
                struct bytes envelope;

                odd.recipient = ec;
                odd.password = way ? "word" : NULL;
                odd.cipher = "AES-256-CBC";
                envelope = rep_envelope(&odd);
                odd.content = REP_AS_IT_IS;
                for (int i = 0; i < 400; i++) {
                        struct bytes m = mutate(bytes_view(&envelope), &seed);
                        struct reply reply = {0};

                        odd.payload = bytes_view(&m);
                        (void)!open_by(&odd, true, &with, &reply, NULL);
                        reply_done(&reply);
                        bytes_done(&m);
                }
                bytes_done(&envelope);
        }
        for (int i = 0; i < 150; i++) {
                struct bytes m = mutate(bytes_view(&issued_der), &seed);
                struct reply reply = {0};

                rep.payload = bytes_view(&m);
                (void)!open_it(&rep, false, &reply, NULL);
                reply_done(&reply);
                bytes_done(&m);
        }
        bytes_done(&der);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(taken),
                cmocka_unit_test(refused),
                cmocka_unit_test(single_des),
                cmocka_unit_test(forged),
                cmocka_unit_test(wrong_key),
                cmocka_unit_test(T6_not_cms),
                cmocka_unit_test(mutations),
                cmocka_unit_test(T3_reply_by_key_agreement),
                cmocka_unit_test(T3_reply_by_password),
        };

        return cmocka_run_group_tests(tests, make, drop);
}
