#include "policy/renewal.h"

#include <string.h>

#include "base/ossl.h"

/* 64 bits that depend on both ids and on nothing else; the NUL keeps ("ab","c") and ("a","bc") apart. */
static enum err stable_hash(const char *device_id, const char *certificate_id, uint64_t *ret, struct error *e)
{
        CLEANUP(evp_md_ctx_free_p) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
        unsigned char digest[EVP_MAX_MD_SIZE];
        uint64_t hash = 0;

        if (!ctx)
                return error_no_memory(e);
        if (EVP_DigestInit_ex2(ctx, EVP_sha256(), NULL) != 1 ||
            EVP_DigestUpdate(ctx, device_id, strlen(device_id) + 1) != 1 ||
            EVP_DigestUpdate(ctx, certificate_id, strlen(certificate_id)) != 1 ||
            EVP_DigestFinal_ex(ctx, digest, NULL) != 1)
                return ossl_error(e, ERR_FAILED, "The jitter of the renewal date could not be computed");
        for (int i = 0; i < 8; i++)
                hash = hash << 8 | digest[i];
        *ret = hash;
        return ERR_OK;
}

enum err renewal_date(int64_t not_before, int64_t not_after, unsigned threshold, const char *device_id,
                      const char *certificate_id, int64_t *ret, struct error *e)
{
        uint64_t life, remaining, hash = 0;
        enum err r;

        if (threshold < 1 || threshold > 99)
                return error_set(e, ERR_INVALID, "A renewal threshold of %u percent is not from 1 to 99",
                                 threshold);
        if (not_after <= not_before) {
                *ret = not_before;
                return ERR_OK;
        }
        r = stable_hash(device_id, certificate_id, &hash, e);
        if (r)
                return r;
        /* unsigned: the distance of any two int64_t fits; quotient and rest apart, so that *100 cannot
         * overflow */
        life = (uint64_t)not_after - (uint64_t)not_before;
        remaining = life / 100 * threshold + life % 100 * threshold / 100;
        *ret = (int64_t)((uint64_t)not_after - remaining + (remaining / 4 ? hash % (remaining / 4) : 0));
        return ERR_OK;
}

static uint64_t at_least_min(uint64_t wait)
{
        return wait > RETRY_MIN ? wait : RETRY_MIN;
}

uint64_t retry_wait(uint64_t attempts, uint64_t base, uint64_t not_after, uint64_t now, uint64_t random)
{
        const uint64_t eighth = not_after > now ? (not_after - now) / 8 : 0;
        const uint64_t most = eighth < RENEWAL_RETRY_MAX ? eighth : RENEWAL_RETRY_MAX;
        uint64_t limit = base < RETRY_MAX ? base : RETRY_MAX;

        if (not_after > now) {
                limit = attempts <= 1 && base < most ? base : most;
                return at_least_min(limit - limit / 2 + random % (limit / 2 + 1));
        }
        for (uint64_t i = 1; i < attempts && limit < RETRY_MAX; i++)
                limit = limit < RETRY_MAX / 2 ? 2 * limit : RETRY_MAX;
        return limit > RETRY_MIN ? RETRY_MIN + random % (limit - RETRY_MIN + 1) : RETRY_MIN;
}

uint64_t longer_wait(uint64_t wait, uint64_t retry_after, uint64_t not_after, uint64_t now)
{
        uint64_t limit = not_after > now ? (not_after - now) / 2 : UINT64_MAX;

        if (limit > retry_after)
                limit = retry_after;
        return wait > limit ? wait : limit;
}

uint64_t remind_wait(uint64_t not_after, uint64_t now)
{
        return not_after > now && not_after - now <= REMIND_WEEK ? REMIND_SOON : REMIND_DAILY;
}

/* Up to @most and a share of what is left. */
static uint64_t spread(uint64_t most, uint64_t left, unsigned share, uint64_t random)
{
        return random % ((left / share < most ? left / share : most) + 1);
}

static uint64_t left_of(uint64_t not_after, uint64_t now)
{
        return not_after > now ? not_after - now : 0;
}

uint64_t late_wait(uint64_t date, uint64_t due, uint64_t not_after, uint64_t now, uint64_t random)
{
        const uint64_t left = left_of(not_after, now);

        if (now <= due || now - due <= LATE)
                return 0;
        if (left > MUCH_LEFT && now - date < left / 2)
                return spread(LATE_WAIT, left, 10, random);
        return spread(SOON_WAIT, left, 20, random);
}

uint64_t network_wait(uint64_t not_after, uint64_t now, uint64_t random)
{
        return spread(SOON_WAIT, left_of(not_after, now), 20, random);
}
