#include "pin/pin.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>

#include "base/file.h"

enum { FILE_MAX = 64 };
static const char file[] = "pin-tries";

struct pin_guard {
        pthread_mutex_t lock; /* of the files */
};

enum err pin_guard_new(struct pin_guard **ret, struct error *e)
{
        struct pin_guard *guard = calloc(1, sizeof *guard);

        if (!guard)
                return error_no_memory(e);
        if (pthread_mutex_init(&guard->lock, NULL)) {
                free(guard);
                return error_no_memory(e);
        }
        *ret = guard;
        return ERR_OK;
}

void pin_guard_free(struct pin_guard *guard)
{
        if (!guard)
                return;
        (void)pthread_mutex_destroy(&guard->lock);
        free(guard);
}

struct count {
        unsigned tries;
        uint64_t last; /* when the last one was */
};

/* What is damaged counts as used up: it was not we who wrote it. */
static enum err count_read(int dirfd, uint64_t now, struct count *ret, struct error *e)
{
        CLEANUP(bytes_done) struct bytes text = {0};
        enum err r = file_read(dirfd, file, FILE_MAX, &text, e);

        *ret = (struct count){0};
        if (r == ERR_NOT_FOUND)
                return ERR_OK;
        if (r && r != ERR_TOO_LARGE)
                return r;
        if (r || sscanf((const char *)text.data, "1 %u %" SCNu64, &ret->tries, &ret->last) != 2 ||
            ret->tries > PIN_TRIES)
                *ret = (struct count){PIN_TRIES, now};
        return ERR_OK;
}

/* With what time has given back. */
static enum err count_now(int dirfd, uint64_t now, struct count *ret, struct error *e)
{
        enum err r = count_read(dirfd, now, ret, e);

        if (r || ret->tries < PIN_TRIES)
                return r;
        if (ret->last > now) /* the clock was set back: from now on, then */
                ret->last = now;
        if (now - ret->last >= PIN_REST)
                ret->tries = 0;
        return ERR_OK;
}

static enum err count_write(int dirfd, const struct count *count, struct error *e)
{
        char text[FILE_MAX];

        if (!count->tries)
                return file_remove(dirfd, file, e);
        (void)snprintf(text, sizeof text, "1 %u %" PRIu64 "\n", count->tries, count->last);
        return file_write(dirfd, file, 0600, str_view(text), e);
}

static enum err rests(const char *name, uint64_t seconds, struct error *e)
{
        const uint64_t minutes = (seconds + 59) / 60;

        (void)error_set(e, ERR_PIN_LOCKED,
                        "The PIN of '%s' was not tried: %d wrong ones came one after the other", name,
                        PIN_TRIES);
        return error_remedy(e, ERR_PIN_LOCKED,
                            "Wait %" PRIu64 " h %02" PRIu64
                            " min, then enter the right PIN; or enroll again for a new key with a new PIN.",
                            minutes / 60, minutes % 60);
}

/* The try is on the disk when this returns. *ret_before: what was there. */
static enum err take(struct pin_guard *guard, int dirfd, const char *name, uint64_t now,
                     struct count *ret_before, struct error *e)
{
        struct count count;
        enum err r;

        (void)pthread_mutex_lock(&guard->lock);
        r = count_now(dirfd, now, &count, e);
        *ret_before = count;
        if (!r && count.tries >= PIN_TRIES) {
                r = count_write(dirfd, &count, e);
                if (!r)
                        r = rests(name, PIN_REST - (now - count.last), e);
        } else if (!r) {
                r = count_write(dirfd, &(struct count){count.tries + 1, now}, e);
        }
        (void)pthread_mutex_unlock(&guard->lock);
        return r;
}

/* A right PIN ends the count; one that did not reach the TPM is given back; all others stay counted, those
 * whose answer was lost too. */
static void settle(struct pin_guard *guard, int dirfd, uint64_t now, bool tried, enum err result)
{
        struct count count;

        /* Past the TPM, what was asked for can still be wrong (a padding). */
        if (tried && result && result != ERR_INVALID)
                return;
        (void)pthread_mutex_lock(&guard->lock);
        if (!result)
                (void)count_write(dirfd, &(struct count){0}, NULL);
        else if (!count_read(dirfd, now, &count, NULL) && count.tries) {
                count.tries--;
                (void)count_write(dirfd, &count, NULL);
        }
        (void)pthread_mutex_unlock(&guard->lock);
}

/* @left: of both counters, whichever ends first. */
static enum err tell_wrong(const char *name, unsigned ours, unsigned left, struct error *e)
{
        (void)error_set(e, ERR_TPM_WRONG_AUTH, "The PIN of '%s' is wrong: %u %s left", name, left,
                        left == 1 ? "try is" : "tries are");
        if (left)
                return ERR_TPM_WRONG_AUTH;
        if (ours)
                return error_remedy(e, ERR_TPM_WRONG_AUTH,
                                    "Wait until the TPM has forgotten a wrong password ('scepter tpm' shows "
                                    "them): one more would lock it for every program and user.");
        return error_remedy(
                e, ERR_TPM_WRONG_AUTH,
                "Wait %d h, then enter the right PIN; or enroll again for a new key with a new PIN.",
                PIN_REST / 3600);
}

enum err pin_run(struct pin_guard *guard, int dirfd, const char *name, uint64_t now, struct ksp_op *op)
{
        struct count before;

        if (!ksp_key_wants_pin(op->key))
                return ksp_run(op);
        if (!op->pin.len)
                op->result = error_set(&op->error, ERR_PIN_NEEDED, "The key of '%s' wants its PIN", name);
        else
                op->result = key_pin_check(op->pin, &op->error);
        if (!op->result)
                op->result = take(guard, dirfd, name, now, &before, &op->error);
        if (op->result)
                return op->result;
        (void)ksp_run(op);
        settle(guard, dirfd, now, op->tried, op->result);
        if (op->result == ERR_TPM_WRONG_AUTH) {
                const unsigned ours = PIN_TRIES - before.tries - 1;

                op->tries = ours < op->tries ? ours : op->tries;
                (void)tell_wrong(name, ours, op->tries, &op->error);
        }
        return op->result;
}

enum err pin_verify(struct pin_guard *guard, int dirfd, const char *name, uint64_t now, struct ksp_key *key,
                    uid_t uid, struct view pin, unsigned *ret_left, struct error *e)
{
        static const uint8_t hash[32] = "PIN";
        struct ksp_op op = {
                .key = key,
                .uid = uid,
                .sign = {.scheme = key_alg_is_rsa(ksp_key_alg(key)) ? KEY_SCHEME_RSA_PKCS1 : KEY_SCHEME_ECDSA,
                         .digest = KEY_DIGEST_SHA256},
                .data = {hash, sizeof hash},
                .pin = pin};
        enum err r = pin_run(guard, dirfd, name, now, &op);

        bytes_done(&op.signature);
        if (r == ERR_TPM_WRONG_AUTH)
                *ret_left = op.tries;
        return r ? error_copy(e, &op.error) : ERR_OK;
}

enum err pin_left(struct pin_guard *guard, int dirfd, uint64_t now, unsigned *ret, struct error *e)
{
        struct count count;
        enum err r;

        (void)pthread_mutex_lock(&guard->lock);
        r = count_now(dirfd, now, &count, e);
        (void)pthread_mutex_unlock(&guard->lock);
        if (!r)
                *ret = PIN_TRIES - count.tries;
        return r;
}

enum err pin_change(struct pin_guard *guard, int dirfd, const char *name, uint64_t now, struct ksp_op *op,
                    struct error *e)
{
        CLEANUP(bytes_done) struct bytes pem = {0};
        enum err r;

        if (!ksp_key_wants_pin(op->key))
                return error_set(e, ERR_UNSUPPORTED, "The key of '%s' is not user-verified: it has no PIN",
                                 name);
        r = key_pin_check(op->data, e);
        if (r)
                return r;
        op->use = KSP_USE_CHANGE_PIN;
        r = pin_run(guard, dirfd, name, now, op);
        if (r)
                return error_copy(e, &op->error);
        pem = op->file;
        return ksp_key_replace(op->key, dirfd, "key.pem", bytes_view(&pem), e);
}
