/*
 * scepter-verify: checks a bundle of 'scepter attest', which starts it. A program of its own, since it needs
 * OpenSSL and the structures of the TPM, and neither service nor TPM. Exit
 * status: 0 no check has failed, and the attestation key is the one that was named; 1 else; 2 usage.
 */
#include <fcntl.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/need.h"
#include "base/ossl.h"
#include "base/parse.h"
#include "verify/verify.h"

enum { FAILED = 1, USAGE = 2, CA_MAX = 1024 * 1024 };

struct arguments {
        bool json;
        const char *bundle, *nonce, *ca, *ek_ca, *attester;
};

/* What was read of them. */
struct inputs {
        struct bytes bundle, nonce;
        STACK_OF(X509) * authorities;
        STACK_OF(X509) * makers;
        uint8_t attester[EVIDENCE_NAME_LEN];
};

static void inputs_done(struct inputs *inputs)
{
        bytes_done(&inputs->bundle);
        bytes_done(&inputs->nonce);
        x509_stack_free_p(&inputs->authorities);
        x509_stack_free_p(&inputs->makers);
}

static void usage(FILE *out)
{
        (void)fputs("Usage: scepter-verify [--json] [--nonce FILE] [--ca FILE] [--ek-ca FILE] [--attester "
                    "NAME] FILE\n"
                    "\n"
                    "Checks what 'scepter attest' has written.\n"
                    "  --json            findings as JSON\n"
                    "  --nonce FILE      what it was to be made for\n"
                    "  --ca FILE         authorities (PEM) that the certificate has to lead to\n"
                    "  --ek-ca FILE      makers of TPMs (PEM) that the TPM's own certificate has to lead to\n"
                    "  --attester NAME   Name of the attestation key, 68 digits of hexadecimal\n"
                    "  --help, --version\n",
                    out);
}

/* -1: go on. */
static int parse_arguments(int argc, char **argv, struct arguments *ret)
{
        enum { OPT_JSON, OPT_NONCE, OPT_CA, OPT_EK_CA, OPT_ATTESTER, OPT_HELP, OPT_VERSION };
        static const struct option options[] = {{"json", no_argument, NULL, OPT_JSON},
                                                {"nonce", required_argument, NULL, OPT_NONCE},
                                                {"ca", required_argument, NULL, OPT_CA},
                                                {"ek-ca", required_argument, NULL, OPT_EK_CA},
                                                {"attester", required_argument, NULL, OPT_ATTESTER},
                                                {"help", no_argument, NULL, OPT_HELP},
                                                {"version", no_argument, NULL, OPT_VERSION},
                                                {NULL, 0, NULL, 0}};
        int c;

        while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
                switch (c) {
                case OPT_JSON:
                        ret->json = true;
                        break;
                case OPT_NONCE:
                        ret->nonce = optarg;
                        break;
                case OPT_CA:
                        ret->ca = optarg;
                        break;
                case OPT_EK_CA:
                        ret->ek_ca = optarg;
                        break;
                case OPT_ATTESTER:
                        ret->attester = optarg;
                        break;
                case OPT_HELP:
                        usage(stdout);
                        return 0;
                case OPT_VERSION:
                        (void)puts("scepter-verify " SCEPTER_VERSION);
                        return 0;
                default:
                        usage(stderr);
                        return USAGE;
                }
        }
        if (argc - optind != 1) {
                usage(stderr);
                return USAGE;
        }
        ret->bundle = argv[optind];
        return -1;
}

static enum err read_authorities(const char *name, STACK_OF(X509) * *ret, struct error *e)
{
        CLEANUP(bytes_done) struct bytes pem = {0};
        CLEANUP(x509_stack_free_p) STACK_OF(X509) *certs = sk_X509_new_null();
        CLEANUP(bio_free_p) BIO *bio = NULL;
        X509 *cert;
        enum err r = file_read(AT_FDCWD, name, CA_MAX, &pem, e);

        if (r)
                return r;
        bio = BIO_new_mem_buf(pem.data, (int)pem.len);
        while (bio && certs && (cert = pem_certificate(bio)))
                if (!sk_X509_push(certs, cert)) {
                        X509_free(cert);
                        return error_no_memory(e);
                }
        if (sk_X509_num(certs) < 1)
                return ossl_error(e, ERR_INVALID,
                                  "There is no certificate (PEM) in what holds the authorities");
        *ret = STEAL(certs);
        return ERR_OK;
}

static enum err read_name(const char *hex, uint8_t ret[EVIDENCE_NAME_LEN], struct error *e)
{
        size_t len;

        if (!hex_decode(hex, ret, EVIDENCE_NAME_LEN, &len) || len != EVIDENCE_NAME_LEN)
                return error_set(e, ERR_INVALID,
                                 "The name of an attestation key has %d digits of hexadecimal",
                                 2 * EVIDENCE_NAME_LEN);
        return ERR_OK;
}

static enum err read_inputs(const struct arguments *a, struct inputs *ret, struct error *e)
{
        enum err r = file_read(AT_FDCWD, a->bundle, BUNDLE_MAX, &ret->bundle, e);

        if (!r && a->nonce)
                r = file_read(AT_FDCWD, a->nonce, BUNDLE_NONCE_MAX, &ret->nonce, e);
        if (!r && a->ca)
                r = read_authorities(a->ca, &ret->authorities, e);
        if (!r && a->ek_ca)
                r = read_authorities(a->ek_ca, &ret->makers, e);
        return !r && a->attester ? read_name(a->attester, ret->attester, e) : r;
}

static bool print_text(const struct report *report)
{
        for (size_t i = 0; i < report->count; i++)
                (void)printf("%-7s %-12s %s\n", verdict_name(report->findings[i].verdict),
                             report->findings[i].check, report->findings[i].text);
        if (*report->attester)
                (void)printf("\nAttestation key: %s\n", report->attester);
        (void)printf("%s\n", report->proved ? "All that was checked holds; what is open was not checked."
                             : report->consistent
                                     ? "This proves nothing yet: whose the attestation key is is open."
                                     : "This proves nothing: a check has failed.");
        return fflush(stdout) == 0;
}

static bool print_json(const struct report *report)
{
        json_t *root = json_pack("{s:b,s:b,s:s,s:[]}", "consistent", report->consistent, "proved",
                                 report->proved, "attester", report->attester, "findings");
        bool ok = root != NULL;

        for (size_t i = 0; ok && i < report->count; i++)
                ok = json_array_append_new(json_object_get(root, "findings"),
                                           json_pack("{s:s,s:s,s:s}", "check", report->findings[i].check,
                                                     "result", verdict_name(report->findings[i].verdict),
                                                     "text", report->findings[i].text)) == 0;
        ok = ok && json_dumpf(root, stdout, JSON_COMPACT | JSON_ENSURE_ASCII) == 0 && putchar('\n') != EOF;
        json_decref(root);
        return ok && fflush(stdout) == 0;
}

/* As the command does, which has become us. */
static void print_error(const struct error *e, bool json)
{
        json_t *error = json ? json_pack("{s:{s:s,s:s,s:s}}", "error", "name", err_name(e->code), "message",
                                         e->message, "remedy", e->remedy)
                             : NULL;

        if (!json)
                (void)fprintf(stderr, "scepter: %s\n  %s\n", e->message, e->remedy);
        else if (error && json_dumpf(error, stdout, JSON_COMPACT | JSON_ENSURE_ASCII) == 0)
                (void)putchar('\n');
        json_decref(error);
}

int main(int argc, char **argv)
{
        CLEANUP(inputs_done) struct inputs inputs = {0};
        struct arguments arguments = {0};
        struct known known = {0};
        struct report report;
        struct error e = {0};
        int status = parse_arguments(argc, argv, &arguments);

        if (status >= 0)
                return status;
        /* It loses characters where there is no memory, and says nothing of it. */
        json_set_alloc_funcs(need, free);
        /* What is malformed is told by us. */
        (void)setenv("TSS2_LOG", "all+NONE", 0);
        if (ossl_begin(&e) || read_inputs(&arguments, &inputs, &e)) {
                print_error(&e, arguments.json);
                return USAGE;
        }
        known.now = time(NULL);
        known.nonce = arguments.nonce ? &inputs.nonce : NULL;
        known.authorities = inputs.authorities;
        known.makers = inputs.makers;
        known.attester = arguments.attester ? inputs.attester : NULL;
        verify_text(bytes_view(&inputs.bundle), &known, &report);
        if (!(arguments.json ? print_json(&report) : print_text(&report))) {
                (void)fputs("scepter-verify: The output could not be written\n", stderr);
                return FAILED;
        }
        return report.proved ? 0 : FAILED;
}
