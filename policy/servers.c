#include "policy/servers.h"

#include <string.h>

#include "base/ossl.h"

enum { RANK_LEN = 32 };

struct ranked {
        const char *url;
        uint8_t rank[RANK_LEN];
};

/* With its NUL, so that ("ab", "c") and ("a", "bc") differ. */
static bool hash_text(EVP_MD_CTX *ctx, const char *text)
{
        text = text ? text : "";
        return EVP_DigestUpdate(ctx, text, strlen(text) + 1) == 1;
}

/* A number for this URL on this device: whoever sorts by it shuffles, and every time alike. Name and version
 * of a document's profile change with its content; model and logical name are its identity. */
static enum err rank(const struct profile *p, const char *device_id, struct ranked *r, struct error *e)
{
        CLEANUP(evp_md_ctx_free_p) EVP_MD_CTX *ctx = EVP_MD_CTX_new();

        if (!ctx)
                return error_no_memory(e);
        if (EVP_DigestInit_ex2(ctx, EVP_sha256(), NULL) != 1 || !hash_text(ctx, "order of servers") ||
            !hash_text(ctx, device_id) || !hash_text(ctx, p->model_name ? p->model_name : p->name) ||
            !hash_text(ctx, p->logical_name) || !hash_text(ctx, r->url) ||
            EVP_DigestFinal_ex(ctx, r->rank, NULL) != 1)
                return ossl_error(e, ERR_FAILED, "The order of the servers could not be computed");
        return ERR_OK;
}

static int by_rank(const void *a, const void *b)
{
        const struct ranked *x = a, *y = b;

        return memcmp(x->rank, y->rank, RANK_LEN);
}

enum err servers_order(const struct profile *p, const char *device_id, struct strings *ret, struct error *e)
{
        CLEANUP(strings_done) struct strings order = {0};
        struct ranked urls[PROFILE_URLS_MAX];
        size_t n = p->urls.count < PROFILE_URLS_MAX ? p->urls.count : PROFILE_URLS_MAX;
        size_t fixed = p->origin == ORIGIN_SYNCML ? 1 : p->origin == ORIGIN_CSP ? 0 : n;
        enum err r = ERR_OK;

        for (size_t i = 0; r == ERR_OK && i < n; i++) {
                urls[i].url = p->urls.items[i];
                r = rank(p, device_id, &urls[i], e);
        }
        if (r)
                return r;
        if (n > fixed)
                qsort(urls + fixed, n - fixed, sizeof urls[0], by_rank);
        for (size_t i = 0; r == ERR_OK && i < n; i++)
                r = strings_add(&order, urls[i].url, e);
        if (r)
                return r;
        *ret = order;
        order = (struct strings){0};
        return ERR_OK;
}
