#include "channel/client.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "base/parse.h"
#include "channel/stream.h"

/* Locked memory is scarce in programs (64 KiB in some containers), and most answers are short. */
enum { ANSWER_TIMEOUT_S = 120, ROOM_FIRST = 4095 /* with secret_new()'s NUL one page */ };

struct channel_client {
        pthread_mutex_t lock;
        char *path;
        int fd;         /* -1: not connected */
        pid_t pid;      /* who connected */
        uint64_t epoch; /* counts connections; a key opened in another one is opened again */
        uint32_t next_id;
        bool asked;           /* the last request went out whole */
        struct secret buffer; /* one answer, header included; locked once instead of per request; grows */
};

struct channel_key {
        struct channel_client *client;
        uint8_t id[KEY_ID_LEN];
        uint64_t handle, epoch;
        bool wants_pin;
        struct bytes spki, certificate;
};

enum err channel_client_new(const char *path, struct channel_client **ret, struct error *e)
{
        struct channel_client *client = calloc(1, sizeof *client);

        if (!client)
                return error_no_memory(e);
        client->fd = -1;
        client->path = strdup(path);
        if (!client->path) {
                free(client);
                return error_no_memory(e);
        }
        (void)pthread_mutex_init(&client->lock, NULL);
        *ret = client;
        return ERR_OK;
}

void channel_client_free(struct channel_client *client)
{
        if (!client)
                return;
        close_p(&client->fd);
        secret_done(&client->buffer);
        (void)pthread_mutex_destroy(&client->lock);
        free(client->path);
        free(client);
}

static void disconnect(struct channel_client *client)
{
        close_p(&client->fd);
        client->fd = -1;
}

static enum err connect_socket(struct channel_client *client, struct error *e)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        const struct timeval patience = {.tv_sec = ANSWER_TIMEOUT_S};
        CLEANUP(close_p) int fd = -1;

        if (strlen(client->path) >= sizeof address.sun_path)
                return error_set(e, ERR_INVALID, "The path of the key socket is too long: %s", client->path);
        strcpy(address.sun_path, client->path);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return errno_error(e, errno, "A socket could not be made");
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
        if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
                return error_set(e, ERR_NO_SERVICE, "The key service does not answer at %s (%s)",
                                 client->path, strerror(errno));
        client->fd = steal_fd(&fd);
        client->pid = getpid();
        client->epoch++;
        return ERR_OK;
}

/* Connected by this very process. The locked buffer of a parent is empty in its child (MADV_WIPEONFORK). */
static enum err ensure_connected(struct channel_client *client, struct error *e)
{
        enum err r;

        if (client->fd >= 0 && client->pid == getpid())
                return ERR_OK;
        disconnect(client);
        if (client->buffer.data && client->pid != getpid())
                secret_done(&client->buffer);
        if (!client->buffer.data) {
                r = secret_new(&client->buffer, ROOM_FIRST, e);
                if (r)
                        return r;
        }
        return connect_socket(client, e);
}

/* The buffer has room for so many octets, and keeps the first @have. */
static enum err make_room(struct channel_client *client, size_t have, size_t want, struct error *e)
{
        CLEANUP(secret_done) struct secret more = {0};
        struct secret old = client->buffer;
        enum err r;

        if (want <= old.len)
                return ERR_OK;
        r = secret_new(&more, want, e);
        if (r)
                return r;
        memcpy(more.data, old.data, have);
        client->buffer = more;
        more = old;
        return ERR_OK;
}

/* One whole frame into the buffer, usually by one recv(). */
static enum err receive_answer(struct channel_client *client, struct frame_header *ret, struct error *e)
{
        size_t have = 0, want = FRAME_HEADER;

        while (have < want) {
                ssize_t n = recv(client->fd, client->buffer.data + have, client->buffer.len - have, 0);
                enum err r;

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
                        return error_set(e, ERR_TIMEOUT, "The key service did not answer within %d s",
                                         ANSWER_TIMEOUT_S);
                if (n <= 0)
                        return error_set(e, ERR_NO_SERVICE, "The key service closed the connection");
                have += (size_t)n;
                if (have < FRAME_HEADER)
                        continue;
                r = frame_header_decode(client->buffer.data, FRAME_KEYS_MAX, ret, e);
                want = FRAME_HEADER + ret->len;
                if (!r)
                        r = make_room(client, have, want, e);
                if (r)
                        return r;
        }
        if (have != want)
                return error_set(e, ERR_PROTOCOL, "The key service sent more than one answer");
        return ERR_OK;
}

/* The answer's body is borrowed from the buffer. A failure of transport leaves the client disconnected. */
static enum err exchange(struct channel_client *client, enum frame_type type,
                         const struct key_request *request, struct view *ret, struct error *e)
{
        CLEANUP(bytes_done) struct bytes body = {0};
        uint32_t id = ++client->next_id;
        struct frame_header h;
        enum err r = key_request_encode(type, request, &body, e);

        if (r)
                return r;
        r = channel_send(client->fd, type, id, bytes_view(&body), e);
        client->asked = !r;
        if (request->pin.len)
                wipe(body.data, body.len);
        if (r == ERR_PROTOCOL) /* a broken pipe: the service went away */
                r = error_set(e, ERR_NO_SERVICE, "The key service closed the connection");
        if (!r)
                r = receive_answer(client, &h, e);
        if (!r && h.id != id)
                r = error_set(e, ERR_PROTOCOL, "An answer of the key service belongs to another request");
        if (r) {
                disconnect(client);
                return r;
        }
        *ret = (struct view){client->buffer.data + FRAME_HEADER, h.len};
        if (h.type == FRAME_ERROR)
                return frame_error_decode(*ret, e);
        if (h.type != FRAME_ANSWER || !fields_valid(*ret)) {
                disconnect(client);
                return error_set(e, ERR_PROTOCOL, "An answer of the key service is malformed");
        }
        return ERR_OK;
}

/* Opens the key, or opens it again, in the present connection. */
static enum err open_in(struct channel_client *client, const struct key_request *request,
                        struct channel_key *key, struct error *e)
{
        struct view answer, spki, id, certificate = {0};
        enum err r = ensure_connected(client, e);

        if (!r)
                r = exchange(client, FRAME_OPEN, request, &answer, e);
        if (r)
                return r;
        r = fields_get_u64(answer, FRAME_TAG_HANDLE, &key->handle, e);
        if (r)
                return r;
        if (!fields_find(answer, FRAME_TAG_SPKI, &spki) || !fields_find(answer, FRAME_TAG_KEY_ID, &id) ||
            id.len != KEY_ID_LEN)
                return error_set(e, ERR_PROTOCOL, "The key service described a key incompletely");
        (void)fields_find(answer, FRAME_TAG_CERTIFICATE, &certificate);
        key->epoch = client->epoch;
        if (key->spki.data) /* opened again: what it was is known */
                return ERR_OK;
        memcpy(key->id, id.data, id.len);
        key->wants_pin = fields_find(answer, FRAME_TAG_WANTS_PIN, &(struct view){0});
        r = bytes_copy(&key->spki, spki.data, spki.len, e);
        if (!r && certificate.len)
                r = bytes_copy(&key->certificate, certificate.data, certificate.len, e);
        return r;
}

/* Asks; once more on a new connection where the old one turned out to be dead before an answer came. Signing
 * twice is harmless; a PIN that may have been tried is not tried again. */
static enum err with_key(struct channel_key *key, enum frame_type type, struct key_request *request,
                         struct view *ret, struct error *e)
{
        struct channel_client *client = key->client;
        enum err r = request->pin.len || type == FRAME_VERIFY ? key_pin_check(request->pin, e) : ERR_OK;

        if (r)
                return r;
        for (int attempt = 0; attempt < 2; attempt++) {
                bool tried = false;

                r = ensure_connected(client, e);
                if (!r && key->epoch != client->epoch) {
                        struct key_request again = {0};

                        memcpy(again.key_id, key->id, KEY_ID_LEN);
                        r = open_in(client, &again, key, e);
                }
                if (!r) {
                        request->handle = key->handle;
                        r = exchange(client, type, request, ret, e);
                        tried = request->pin.len && client->asked;
                }
                if (r != ERR_NO_SERVICE || tried)
                        break;
        }
        return r;
}

/* A request that needs no open key; once more where the old connection turned out to be dead. */
static enum err ask(struct channel_client *client, enum frame_type type, const struct key_request *request,
                    struct view *ret, struct error *e)
{
        enum err r = ERR_OK;

        for (int attempt = 0; attempt < 2; attempt++) {
                r = ensure_connected(client, e);
                if (!r)
                        r = exchange(client, type, request, ret, e);
                if (r != ERR_NO_SERVICE)
                        break;
        }
        return r;
}

/* LABEL and OWNER, and the id where it is there. */
static enum err read_entry(struct view fields, struct channel_entry *ret, struct error *e)
{
        struct view label, id;
        uint64_t owner = 0;

        *ret = (struct channel_entry){.device = true};
        if (!fields_valid(fields) || !fields_find(fields, FRAME_TAG_LABEL, &label) ||
            label.len > FRAME_LABEL_MAX || !utf8_valid(label))
                return error_set(e, ERR_PROTOCOL, "The key service described a key incompletely");
        memcpy(ret->label, label.data, label.len);
        if (fields_find(fields, FRAME_TAG_KEY_ID, &id) && id.len == KEY_ID_LEN)
                memcpy(ret->id, id.data, KEY_ID_LEN);
        ret->wants_pin = fields_find(fields, FRAME_TAG_WANTS_PIN, &(struct view){0});
        if (fields_get_u64(fields, FRAME_TAG_OWNER, &owner, NULL) == ERR_OK) {
                ret->device = false;
                ret->owner = (uid_t)owner;
        }
        return ERR_OK;
}

enum err channel_list(struct channel_client *client,
                      enum err (*each)(void *ctx, const struct channel_entry *entry, struct error *e),
                      void *ctx, struct error *e)
{
        struct key_request request = {0};
        enum err r;

        (void)pthread_mutex_lock(&client->lock);
        do {
                struct view answer, value;
                uint64_t next = 0;

                r = ask(client, FRAME_LIST, &request, &answer, e);
                if (!r)
                        r = fields_get_u64(answer, FRAME_TAG_NEXT, &next, e);
                if (!r && next && next <= request.index)
                        r = error_set(e, ERR_PROTOCOL, "The key service lists its keys in a circle");
                if (!r) {
                        struct fields_reader reader = {answer};
                        uint16_t tag;
                        bool bad = false;

                        while (!r && fields_next(&reader, &tag, &value, &bad)) {
                                struct channel_entry entry;

                                if (tag != FRAME_TAG_ENTRY)
                                        continue;
                                r = read_entry(value, &entry, e);
                                if (!r)
                                        r = each(ctx, &entry, e);
                        }
                }
                request.index = next;
        } while (!r && request.index);
        (void)pthread_mutex_unlock(&client->lock);
        return r;
}

enum err channel_describe(struct channel_client *client, const uint8_t id[KEY_ID_LEN], uint64_t index,
                          struct channel_entry *ret_entry, struct bytes *ret_certificate, struct error *e)
{
        struct key_request request = {.index = index};
        struct view answer, certificate;
        enum err r;

        memcpy(request.key_id, id, KEY_ID_LEN);
        (void)pthread_mutex_lock(&client->lock);
        r = ask(client, FRAME_DESCRIBE, &request, &answer, e);
        if (!r && !fields_find(answer, FRAME_TAG_CERTIFICATE, &certificate))
                r = error_set(e, ERR_PROTOCOL, "The key service answered without a certificate");
        if (!r && ret_entry) {
                r = read_entry(answer, ret_entry, e);
                memcpy(ret_entry->id, id, KEY_ID_LEN);
        }
        if (!r)
                r = bytes_copy(ret_certificate, certificate.data, certificate.len, e);
        (void)pthread_mutex_unlock(&client->lock);
        return r;
}

enum err channel_key_open(struct channel_client *client, const char *label, const uint8_t *id,
                          struct channel_key **ret, struct error *e)
{
        struct channel_key *key = calloc(1, sizeof *key);
        struct key_request request = {0};
        enum err r;

        if (!key)
                return error_no_memory(e);
        key->client = client;
        if (label && strlen(label) > FRAME_LABEL_MAX) {
                free(key);
                return error_set(e, ERR_NOT_FOUND, "There is no key of that name");
        }
        if (label)
                strcpy(request.label, label);
        else
                memcpy(request.key_id, id, KEY_ID_LEN);
        (void)pthread_mutex_lock(&client->lock);
        r = open_in(client, &request, key, e);
        if (r == ERR_NO_SERVICE)
                r = open_in(client, &request, key, e);
        (void)pthread_mutex_unlock(&client->lock);
        if (r) {
                bytes_done(&key->spki);
                bytes_done(&key->certificate);
                free(key);
                return r;
        }
        *ret = key;
        return ERR_OK;
}

void channel_key_close(struct channel_key *key)
{
        struct channel_client *client;

        if (!key)
                return;
        client = key->client;
        (void)pthread_mutex_lock(&client->lock);
        if (client->fd >= 0 && client->pid == getpid() && key->epoch == client->epoch) {
                CLEANUP(bytes_done) struct bytes body = {0};
                const struct key_request request = {.handle = key->handle};

                if (key_request_encode(FRAME_CLOSE, &request, &body, NULL) == ERR_OK &&
                    channel_send(client->fd, FRAME_CLOSE, ++client->next_id, bytes_view(&body), NULL))
                        disconnect(client);
        }
        (void)pthread_mutex_unlock(&client->lock);
        bytes_done(&key->spki);
        bytes_done(&key->certificate);
        free(key);
}

struct view channel_key_spki(const struct channel_key *key)
{
        return bytes_view(&key->spki);
}

struct view channel_key_certificate(const struct channel_key *key)
{
        return bytes_view(&key->certificate);
}

bool channel_key_wants_pin(const struct channel_key *key)
{
        return key->wants_pin;
}

enum err channel_key_verify(struct channel_key *key, struct view pin, struct error *e)
{
        struct key_request request = {.pin = pin};
        struct view answer;
        enum err r;

        (void)pthread_mutex_lock(&key->client->lock);
        r = with_key(key, FRAME_VERIFY, &request, &answer, e);
        (void)pthread_mutex_unlock(&key->client->lock);
        return r;
}

enum err channel_key_sign(struct channel_key *key, const struct key_sign *how, struct view data,
                          struct view pin, struct bytes *ret, struct error *e)
{
        struct key_request request = {.sign = *how, .data = data, .pin = pin};
        struct view answer, signature;
        enum err r;

        (void)pthread_mutex_lock(&key->client->lock);
        r = with_key(key, FRAME_SIGN, &request, &answer, e);
        if (!r && !fields_find(answer, FRAME_TAG_DATA, &signature))
                r = error_set(e, ERR_PROTOCOL, "The key service answered without a signature");
        if (!r)
                r = bytes_copy(ret, signature.data, signature.len, e);
        (void)pthread_mutex_unlock(&key->client->lock);
        return r;
}

/* An answer that is secret. */
static enum err private_answer(struct channel_key *key, enum frame_type type, struct key_request *request,
                               struct secret *ret, struct error *e)
{
        struct view answer, plain;
        enum err r;

        (void)pthread_mutex_lock(&key->client->lock);
        r = with_key(key, type, request, &answer, e);
        if (!r && !fields_find(answer, FRAME_TAG_DATA, &plain))
                r = error_set(e, ERR_PROTOCOL, "The key service answered without data");
        if (!r)
                r = secret_copy(ret, plain, e);
        if (key->client->buffer.data)
                explicit_bzero(key->client->buffer.data, key->client->buffer.len);
        (void)pthread_mutex_unlock(&key->client->lock);
        return r;
}

enum err channel_key_decrypt(struct channel_key *key, const struct key_decrypt *how, struct view data,
                             struct view pin, struct secret *ret, struct error *e)
{
        struct key_request request = {.decrypt = *how, .data = data, .pin = pin};

        return private_answer(key, FRAME_DECRYPT, &request, ret, e);
}

enum err channel_key_derive(struct channel_key *key, struct view point, struct view pin, struct secret *ret,
                            struct error *e)
{
        struct key_request request = {.data = point, .pin = pin};

        return private_answer(key, FRAME_DERIVE, &request, ret, e);
}
