/* Certificate.Attest: what a verifier elsewhere needs to know that the key lies in this machine's TPM. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "attest/bundle.h"
#include "base/file.h"
#include "internal.h"
#include "pin/pin.h"

struct attesting {
        struct later later;
        struct secret pin;
        int generation; /* directory, for the count of tries */
        int attester;   /* directory of the attestation key */
        uint64_t now;
        char *name;
        struct ksp_key *key;
        uid_t uid;
        struct bundle bundle;
        int fd; /* what comes of it */
        enum err result;
        struct error error;
};

static void attesting_free(struct attesting *attesting)
{
        ksp_key_unref(attesting->key);
        secret_done(&attesting->pin);
        close_p(&attesting->generation);
        close_p(&attesting->attester);
        close_p(&attesting->fd);
        free(attesting->name);
        bundle_done(&attesting->bundle);
        free(attesting);
}

static enum err make_bundle(struct attesting *attesting, struct error *e)
{
        struct bundle *bundle = &attesting->bundle;
        struct ksp_attest attest = {.dirfd = attesting->attester, .name = STORE_ATTESTER};
        uint8_t qualifying[EVIDENCE_HASH_LEN];
        struct ksp_op op = {.key = attesting->key,
                            .uid = attesting->uid,
                            .use = KSP_USE_ATTEST,
                            .attest = &attest,
                            .data = {qualifying, sizeof qualifying},
                            .pin = secret_view(&attesting->pin)};
        CLEANUP(free_p) char *text = NULL;
        enum err r = evidence_qualifying(bytes_view(&bundle->certificate), bytes_view(&bundle->nonce),
                                         qualifying, e);

        if (r)
                return r;
        if (pin_run(attesting->later.d->pins, attesting->generation, attesting->name, attesting->now, &op))
                return error_copy(e, &op.error);
        bundle->evidence = attest.evidence;
        r = bundle_write(bundle, &text, e);
        return r ? r : memfd_make("scepter-attestation", str_view(text), &attesting->fd, e);
}

static void run_attest(void *ctx)
{
        struct attesting *attesting = ctx;

        attesting->result = make_bundle(attesting, &attesting->error);
}

static void attest_done(void *ctx)
{
        struct attesting *attesting = ctx;
        struct bus_call *call = attesting->later.call;
        struct error e = {0};

        if (attesting->result) {
                later_fail(&attesting->later, &attesting->error);
        } else {
                struct bus_writer *w = bus_call_begin(call);

                bus_write_fd(w, attesting->fd);
                if (bus_call_reply(call, w, &e))
                        bus_call_fail(call, &e);
                bus_call_unref(call);
        }
        attesting_free(attesting);
}

static enum err read_certs(const struct handle *handle, const char *file, struct cert_list *ret,
                           struct error *e)
{
        CLEANUP(secret_done) struct secret pem = {0};
        char name[64];
        enum err r;

        /* Not by "current", which may lead to a newer one than the key is of. */
        (void)snprintf(name, sizeof name, "generations/%" PRIu64 "/%s", handle->certificate->current, file);
        r = store_file_read(handle->d->store, STORE_CERTIFICATES, handle->certificate->id, name, &pem, e);
        return r ? r : bundle_add_pem(ret, secret_view(&pem), e);
}

static enum err fill(const struct handle *handle, int nonce, struct bundle *ret, struct error *e)
{
        CLEANUP(secret_done) struct secret octets = {0};
        CLEANUP(cert_list_done) struct cert_list own = {0};
        enum err r = memfd_read_secret(nonce, BUS_NONCE_MAX, &octets, e);

        if (!r)
                r = bytes_copy(&ret->nonce, octets.data, octets.len, e);
        if (!r)
                r = read_certs(handle, "cert.pem", &own, e);
        if (!r && own.count != 1)
                r = error_set(e, ERR_CONFIG, "What is stored as the certificate of '%s' is not one",
                              handle->certificate->name);
        if (!r)
                r = bytes_copy(&ret->certificate, own.items[0].data, own.items[0].len, e);
        return r ? r : read_certs(handle, "chain.pem", &ret->chain, e);
}

static enum err in_software(const struct certificate *certificate, struct error *e)
{
        (void)error_set(e, ERR_KEY_NOT_SUPPORTED,
                        "The key of '%s' is in software: there is nothing that a TPM could attest",
                        certificate->name);
        return error_remedy(
                e, ERR_KEY_NOT_SUPPORTED,
                "Enroll with Protection=tpm on a machine with a TPM: 'scepter tpm' shows whether it "
                "has one.");
}

enum err certificate_attest(void *object, struct bus_call *call, struct error *e)
{
        const struct handle *handle = object;
        const struct certificate *c = handle->certificate;
        struct daemon *d = handle->d;
        struct bus_reader *reader = bus_call_reader(call);
        CLEANUP(close_p) int nonce = -1;
        CLEANUP(close_p) int pin = -1;
        const struct bus_option options[] = {BUS_OPTION_AS_FD(BUS_OPTION_PIN, pin)};
        struct attesting *attesting;
        struct ksp_key *key;
        enum err r = bus_read_fd(reader, "nonce", &nonce, e);

        if (!r)
                r = bus_options_read(reader, options, N_ELEMENTS(options), e);
        if (!r)
                r = model_key(d->model, d->ksp, handle->certificate, &key, e);
        if (!r && !ksp_key_in_tpm(key))
                r = in_software(c, e);
        if (r)
                return r;
        attesting = calloc(1, sizeof *attesting);
        if (!attesting)
                return error_no_memory(e);
        *attesting = (struct attesting){.later = {d, bus_call_ref(call)},
                                        .generation = -1,
                                        .attester = -1,
                                        .fd = -1,
                                        .now = clock_now(&d->clock),
                                        .name = strdup(c->name),
                                        .key = ksp_key_ref(key),
                                        .uid = bus_call_uid(call)};
        r = attesting->name ? fill(handle, nonce, &attesting->bundle, e) : error_no_memory(e);
        if (!r)
                r = store_attestation(d->store, &attesting->attester, e);
        if (!r && ksp_key_wants_pin(key))
                r = store_generation(d->store, c->id, c->current, false, &attesting->generation, e);
        if (!r && pin >= 0)
                r = pin_read(pin, &attesting->pin, e);
        if (!r)
                r = pool_submit(d->pool, run_attest, attest_done, attesting, e);
        if (r) {
                bus_call_unref(call);
                attesting_free(attesting);
        }
        return r;
}
