/*
 * The outer layer of every captured reply: it verifies with the certificates of its own GetCACert, its
 * attributes answer the captured request, and its envelope, to whose key nobody has access any more, is
 * refused at the decrypt alone.
 */
#include "pki.h"

#include <openssl/cms.h>
#include <stdio.h>

#include "scep-open/reply.h"
#include "scep-wire/ca-certs.h"

static unsigned successes, pendings, des;

static char certs_name[256];

static void find_certs(const char *folder, STACK_OF(X509) * *ret)
{
        char path[512];
        CLEANUP(closedir_p) DIR *dir = NULL;
        struct dirent *file;
        struct bytes body;

        certs_name[0] = 0;
        snprintf(path, sizeof path, TEST_DATA "/scep/captured/%s", folder);
        dir = opendir(path);
        while ((file = readdir(dir)))
                if (strstr(file->d_name, "-GetCACert.resp.bin"))
                        snprintf(certs_name, sizeof certs_name, "%s", file->d_name);
        body = captured_read(folder, certs_name);
        assert_int_equal(ca_certs_parse(bytes_view(&body), ret, NULL), ERR_OK);
        bytes_done(&body);
}

static void attribute(CMS_SignerInfo *si, const char *oid, int type, char *ret, size_t size, size_t *ret_len)
{
        ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
        const ASN1_STRING *v = CMS_signed_get0_data_by_OBJ(si, object, -3, type);

        assert_non_null(v);
        assert_true((size_t)v->length < size);
        memcpy(ret, v->data, (size_t)v->length);
        ret[v->length] = 0;
        *ret_len = (size_t)v->length;
        ASN1_OBJECT_free(object);
}

static void check(const char *folder, const char *name)
{
        CLEANUP(x509_stack_free_p) STACK_OF(X509) *signers = NULL;
        CLEANUP(x509_stack_free_p) STACK_OF(X509) *carried = NULL;
        char request_name[256], transaction[128], nonce[64];
        struct bytes request, body = captured_read(folder, name);
        struct reply reply = {0};
        size_t len, nonce_len;
        struct error e = {0};
        CMS_ContentInfo *cms;
        CMS_SignerInfo *si;
        const uint8_t *p;
        enum err r;

        snprintf(request_name, sizeof request_name, "%.*s.req.der", (int)(strlen(name) - strlen(".resp.der")),
                 name);
        request = captured_read(folder, request_name);
        find_certs(folder, &signers);
        p = request.data;
        cms = d2i_CMS_ContentInfo(NULL, &p, (long)request.len);
        assert_non_null(cms);
        carried = CMS_get1_certs(cms);
        si = sk_CMS_SignerInfo_value(CMS_get0_SignerInfos(cms), 0);
        attribute(si, SCEP_OID_TRANSACTION_ID, V_ASN1_PRINTABLESTRING, transaction, sizeof transaction, &len);
        attribute(si, SCEP_OID_SENDER_NONCE, V_ASN1_OCTET_STRING, nonce, sizeof nonce, &nonce_len);
        {
                struct reply_spec spec = {.reply = bytes_view(&body),
                                          .signers = signers,
                                          .transaction = transaction,
                                          .nonce = {(const uint8_t *)nonce, nonce_len},
                                          .recipient = sk_X509_value(carried, 0),
                                          .key = pki_key(0),
                                          .transport = true,
                                          .now = time(NULL)};

                r = reply_open(&spec, &reply, &e);
                if (r == ERR_OK) {
                        assert_int_equal(reply.status, SCEP_PENDING);
                        assert_true(reply.notes & SCEP_NOTE_SHA1);
                        pendings++;
                } else if (r == ERR_SERVER_ALGORITHM) {
                        assert_non_null(strstr(e.message, "single DES"));
                        des++;
                        spec.allow_des = true;
                        expect_err(reply_open(&spec, &reply, &e), ERR_REPLY);
                        assert_non_null(strstr(e.message, "could not be opened with the key"));
                } else {
                        if (!strstr(e.message, "could not be opened with the key"))
                                fail_msg("%s/%s: %s", folder, name, e.message);
                        successes++;
                }
                reply_done(&reply);
                spec.transaction = "another";
                expect_err(reply_open(&spec, &reply, &e), ERR_REPLY);
                spec.transaction = transaction;
                spec.signers = carried; /* the client's own certificate */
                expect_err(reply_open(&spec, &reply, &e), ERR_REPLY);
        }
        CMS_ContentInfo_free(cms);
        bytes_done(&request);
        bytes_done(&body);
}

static void all(void **state)
{
        (void)state;
        captured_each("-PKIOperation.resp.der", check);
        assert_int_equal(pendings, 3);
        assert_int_equal(des, 3);
        assert_true(successes >= 10);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(all)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
