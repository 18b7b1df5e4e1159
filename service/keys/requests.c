/* What a connection asks of a key: open, sign, decrypt, derive, close. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/ossl.h"
#include "connection.h"
#include "groups.h"
#include "listing.h"
#include "pin/line.h"
#include "pin/pin.h"

void connection_unref(struct connection *connection)
{
        if (atomic_fetch_sub_explicit(&connection->references, 1, memory_order_acq_rel) != 1)
                return;
        for (size_t i = 0; i < HANDLES_MAX; i++)
                ksp_key_unref(connection->handles[i]);
        (void)close(connection->fd);
        (void)pthread_mutex_destroy(&connection->writing);
        wipe(connection->in, connection->have);
        free(connection);
}

void connection_send(struct connection *connection, enum frame_type type, uint32_t id, struct view body)
{
        const struct frame_header h = {type, id, body.len};
        uint8_t header[FRAME_HEADER];
        struct iovec parts[] = {{header, sizeof header}, {(void *)(uintptr_t)body.data, body.len}};
        const struct msghdr message = {.msg_iov = parts, .msg_iovlen = N_ELEMENTS(parts)};
        ssize_t n = -1;

        /* Answers are signatures, keys and certificates of a few kilobytes: they fit the socket's buffer. */
        if (body.len <= FRAME_KEYS_MAX) {
                frame_header_encode(&h, header);
                (void)pthread_mutex_lock(&connection->writing);
                do
                        n = sendmsg(connection->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
                while (n < 0 && errno == EINTR);
                (void)pthread_mutex_unlock(&connection->writing);
        }
        if (n != (ssize_t)(FRAME_HEADER + body.len))
                (void)shutdown(connection->fd, SHUT_RDWR); /* the loop sees the end and closes */
}

void connection_send_error(struct connection *connection, uint32_t id, const struct error *e)
{
        CLEANUP(bytes_done) struct bytes body = {0};

        if (frame_error_encode(e, &body, NULL) == ERR_OK)
                connection_send(connection, FRAME_ERROR, id, bytes_view(&body));
        else
                (void)shutdown(connection->fd, SHUT_RDWR);
}

struct operation {
        struct ksp_op op;
        struct connection *connection;
        uint32_t id;
        uint8_t data[FRAME_DATA_MAX], label[FRAME_LABEL_MAX];

        /* with a PIN */
        struct pin_job job;
        struct pin_guard *pins;
        struct secret pin;
        bool verifies; /* the PIN, and nothing else */
        int generation;
        char *name;
        uint64_t now;
};

/* Any thread. Owns the operation. */
static void answer(struct operation *operation)
{
        const bool secret = operation->op.use != KSP_USE_SIGN;
        struct fields_writer w = FIELDS_WRITER(FRAME_KEYS_MAX, secret);
        CLEANUP(bytes_done) struct bytes body = {0};
        struct connection *connection = operation->connection;

        if (operation->op.result == ERR_OK) {
                if (!operation->verifies)
                        fields_put(&w, FRAME_TAG_DATA,
                                   secret ? secret_view(&operation->op.plain)
                                          : bytes_view(&operation->op.signature));
                operation->op.result = fields_finish(&w, &body, &operation->op.error);
        }
        if (operation->op.result) {
                connection_failed(connection, operation->op.result);
                connection_send_error(connection, operation->id, &operation->op.error);
        } else {
                connection_send(connection, FRAME_ANSWER, operation->id, bytes_view(&body));
        }
        if (secret)
                wipe(body.data, body.len);
        bytes_done(&operation->op.signature);
        secret_done(&operation->op.plain);
        secret_done(&operation->pin);
        close_p(&operation->generation);
        free(operation->name);
        ksp_key_unref(operation->op.key);
        atomic_fetch_sub(&connection->operations, 1);
        free(operation);
        connection_unref(connection);
}

static void tpm_done(struct ksp_op *op)
{
        answer((struct operation *)op);
}

static void run_software(void *ctx)
{
        struct ksp_op *op = ctx;

        if (op->use == KSP_USE_DERIVE)
                op->result = ksp_derive(op->key, op->uid, op->data, &op->plain, &op->error);
        else if (op->use == KSP_USE_DECRYPT)
                op->result = ksp_decrypt(op->key, op->uid, &op->decrypt, op->data, &op->plain, &op->error);
        else
                op->result = ksp_sign(op->key, op->uid, &op->sign, op->data, &op->signature, &op->error);
        answer(ctx);
}

static void nothing(void *ctx)
{
        (void)ctx;
}

static struct operation *of_job(struct pin_job *job)
{
        return (struct operation *)(void *)((char *)job - offsetof(struct operation, job));
}

static void run_with_pin(struct pin_job *job)
{
        struct operation *operation = of_job(job);
        struct ksp_op *op = &operation->op;

        if (operation->verifies)
                op->result = pin_verify(operation->pins, operation->generation, operation->name,
                                        operation->now, op->key, op->uid, op->pin, &op->tries, &op->error);
        else
                (void)pin_run(operation->pins, operation->generation, operation->name, operation->now, op);
}

static void pin_done(struct pin_job *job, const struct error *why)
{
        struct operation *operation = of_job(job);

        if (why)
                operation->op.result = error_copy(&operation->op.error, why);
        answer(operation);
}

static struct ksp_key *key_of(const struct connection *connection, uint64_t handle)
{
        return handle >= 1 && handle <= HANDLES_MAX ? connection->handles[handle - 1] : NULL;
}

enum err connection_may(const struct connection *connection, const struct certificate *certificate,
                        enum frame_type operation, struct error *e)
{
        const struct key_access who = {.peer = &connection->peer};
        gid_t groups[PROFILE_GROUPS_MAX];
        struct key_owner owner = {.groups = groups};

        if (!certificate)
                return access_decide(&who, NULL, operation, e);
        owner.uid = certificate->owner;
        if (!connection->peer.root)
                owner.n_groups = key_groups_of(connection_daemon(connection), certificate, groups);
        return access_decide(&who, &owner, operation, e);
}

/* A right that was there when the handle was opened may be gone, and so may the certificate, which is *ret.
 */
static enum err judge_again(const struct connection *connection, uint64_t handle, enum frame_type operation,
                            const struct certificate **ret, struct error *e)
{
        const uint64_t order = connection->orders[handle - 1];
        const struct certificate *certificate = model_next(connection_daemon(connection)->model, order - 1);

        *ret = certificate && certificate->order == order ? certificate : NULL;
        return connection_may(connection, *ret, operation, e);
}

/* Into the line of those with a PIN; no PIN is tried where this fails. */
static enum err line_up(struct operation *operation, const struct certificate *certificate,
                        uint64_t generation, struct view pin, struct error *e)
{
        struct daemon *d = connection_daemon(operation->connection);
        enum err r = secret_copy(&operation->pin, pin, e);

        operation->name = strdup(certificate->name);
        if (!r && !operation->name)
                r = error_no_memory(e);
        if (!r)
                r = store_generation(d->store, certificate->id, generation, false, &operation->generation, e);
        if (r)
                return r;
        operation->op.pin = secret_view(&operation->pin);
        operation->pins = d->pins;
        operation->now = clock_now(&d->clock);
        operation->job = (struct pin_job){.uid = operation->op.uid,
                                          .whose = operation->connection,
                                          .run = run_with_pin,
                                          .done = pin_done};
        return pin_line_join(d->pin_line, &operation->job, e);
}

static enum err operate(struct connection *connection, const struct frame_header *h,
                        const struct key_request *request, struct error *e)
{
        struct ksp_key *key = key_of(connection, request->handle);
        const struct certificate *certificate;
        struct operation *operation;
        enum err r = ERR_OK;

        if (h->type == FRAME_TLS_SIGN || h->type == FRAME_UNWRAP)
                return connection_may(connection, NULL, h->type, e);
        if (!key)
                return error_set(e, ERR_NOT_FOUND, "The handle of the key is not open");
        r = judge_again(connection, request->handle, h->type, &certificate, e);
        if (r)
                return r;
        if (h->type == FRAME_VERIFY && !ksp_key_wants_pin(key))
                return error_set(e, ERR_INVALID, "The key of '%s' has no PIN", certificate->name);
        if (atomic_load(&connection->operations) >= OPERATIONS_MAX)
                return error_set(e, ERR_LIMIT, "More than %d operations at once on one connection",
                                 OPERATIONS_MAX);
        operation = calloc(1, sizeof *operation);
        if (!operation)
                return error_no_memory(e);
        if (request->data.len)
                memcpy(operation->data, request->data.data, request->data.len);
        if (request->decrypt.label.len)
                memcpy(operation->label, request->decrypt.label.data, request->decrypt.label.len);
        operation->op = (struct ksp_op){.key = ksp_key_ref(key),
                                        .uid = connection->peer.uid,
                                        .use = h->type == FRAME_DECRYPT  ? KSP_USE_DECRYPT
                                               : h->type == FRAME_DERIVE ? KSP_USE_DERIVE
                                                                         : KSP_USE_SIGN,
                                        .sign = request->sign,
                                        .decrypt = request->decrypt,
                                        .data = {operation->data, request->data.len},
                                        .done = tpm_done};
        operation->op.decrypt.label = (struct view){operation->label, request->decrypt.label.len};
        operation->id = h->id;
        operation->verifies = h->type == FRAME_VERIFY;
        operation->generation = -1;
        operation->connection = connection;
        atomic_fetch_add_explicit(&connection->references, 1, memory_order_relaxed);
        atomic_fetch_add(&connection->operations, 1);
        if (ksp_key_wants_pin(key) && request->pin.len)
                r = line_up(operation, certificate, connection->generations[request->handle - 1],
                            request->pin, &operation->op.error);
        else if (ksp_key_in_tpm(key))
                ksp_submit(&operation->op);
        else
                r = pool_submit(connection_daemon(connection)->pool, run_software, nothing, operation,
                                &operation->op.error);
        if (r) {
                operation->op.result = r;
                answer(operation);
        }
        return ERR_OK;
}

/* The certificate this peer means, where he may use its key. */
static enum err find(const struct connection *connection, const struct key_request *request,
                     enum frame_type operation, struct certificate **ret, uint64_t *ret_generation,
                     struct error *e)
{
        const struct daemon *d = connection_daemon(connection);
        const struct key_peer *peer = &connection->peer;
        struct certificate *found;
        enum err r;

        if (request->label[0]) {
                found = model_find(d->model, request->label);
                if (!found)
                        found = model_find_name(d->model, request->label, peer->root ? NO_OWNER : peer->uid,
                                                peer->root);
                if (found)
                        *ret_generation = found->current;
        } else {
                found = model_find_key(d->model, request->key_id, ret_generation);
        }
        r = connection_may(connection, found, operation, e);
        if (r && request->label[0])
                return error_set(e, r, "There is no key '%s' for you", request->label);
        *ret = found;
        return r;
}

static enum err open_key(struct connection *connection, const struct frame_header *h,
                         const struct key_request *request, struct error *e)
{
        struct daemon *d = connection_daemon(connection);
        struct certificate *certificate = NULL;
        struct fields_writer w = FIELDS_WRITER(FRAME_KEYS_MAX, false);
        CLEANUP(bytes_done) struct bytes spki = {0};
        CLEANUP(bytes_done) struct bytes body = {0};
        CLEANUP(ksp_key_unref_p) struct ksp_key *key = NULL;
        uint64_t generation = 0;
        size_t slot = 0;
        enum err r;

        r = find(connection, request, h->type, &certificate, &generation, e);
        if (r)
                return r;
        while (slot < HANDLES_MAX && connection->handles[slot])
                slot++;
        if (slot == HANDLES_MAX)
                return error_set(e, ERR_LIMIT, "More than %d keys are open on one connection", HANDLES_MAX);
        r = model_any_key(d->model, d->ksp, certificate, generation, &key, e);
        if (!r)
                r = spki_der(ksp_key_public(key), &spki, e);
        if (r)
                return r;
        fields_put_u64(&w, FRAME_TAG_HANDLE, slot + 1);
        fields_put(&w, FRAME_TAG_SPKI, bytes_view(&spki));
        fields_put(&w, FRAME_TAG_KEY_ID, (struct view){ksp_key_id(key), KEY_ID_LEN});
        if (ksp_key_wants_pin(key))
                fields_put_u64(&w, FRAME_TAG_WANTS_PIN, true);
        listing_put_certificate(d, certificate, generation, "cert.pem", 0, &w);
        r = fields_finish(&w, &body, e);
        if (r)
                return r;
        connection->handles[slot] = STEAL(key);
        connection->orders[slot] = certificate->order;
        connection->generations[slot] = generation;
        connection_send(connection, FRAME_ANSWER, h->id, bytes_view(&body));
        return ERR_OK;
}

bool connection_take(struct connection *connection, const struct frame_header *h, struct view body)
{
        struct key_request request;
        struct error e = {0};
        enum err r = key_request_decode(h->type, body, &request, &e);

        if (r) {
                connection_send_error(connection, h->id, &e);
                return false;
        }
        if (h->type == FRAME_CLOSE) {
                if (request.handle >= 1 && request.handle <= HANDLES_MAX) {
                        ksp_key_unref(connection->handles[request.handle - 1]);
                        connection->handles[request.handle - 1] = NULL;
                }
                return true;
        }
        if (h->type == FRAME_OPEN)
                r = open_key(connection, h, &request, &e);
        else if (h->type == FRAME_LIST)
                r = listing_list(connection, h, &request, &e);
        else if (h->type == FRAME_DESCRIBE)
                r = listing_describe(connection, h, &request, &e);
        else
                r = operate(connection, h, &request, &e);
        if (r) {
                connection_failed(connection, r);
                connection_send_error(connection, h->id, &e);
        }
        return true;
}
