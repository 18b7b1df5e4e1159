#include "trust.h"

#include <string.h>

#include "base/ossl.h"
#include "revocation/path.h"

static enum err add(struct store *store, const char *id, const char *name, STACK_OF(X509) * to,
                    struct error *e)
{
        X509 *cert = NULL;
        enum err r = store_pem_read(store, STORE_CERTIFICATES, id, name, &cert, e);

        if (r)
                return r == ERR_NOT_FOUND ? ERR_OK : error_context(e, r, "%s", name);
        if (!sk_X509_push(to, cert)) {
                X509_free(cert);
                return error_no_memory(e);
        }
        return ERR_OK;
}

enum err trust_followed(struct store *store, const char *id, const struct plan *plan, STACK_OF(X509) * *ret,
                        struct error *e)
{
        CLEANUP(x509_stack_free_p) STACK_OF(X509) *found = NULL;
        enum err r;

        *ret = NULL;
        if (!plan->follow_rollover)
                return ERR_OK;
        found = sk_X509_new_null();
        if (!found)
                return error_no_memory(e);
        r = add(store, id, FOLLOWED_ANCHOR, found, e);
        if (!r)
                r = add(store, id, NEXT_ANCHOR, found, e);
        if (!r)
                *ret = STEAL(found);
        return r;
}

static bool is_kept(struct store *store, const char *id, const char *name, X509 *cert)
{
        CLEANUP(x509_free_p) X509 *kept = NULL;

        return store_pem_read(store, STORE_CERTIFICATES, id, name, &kept, NULL) == ERR_OK &&
               X509_cmp(kept, cert) == 0;
}

bool trust_is_known(struct store *store, const char *id, X509 *cert)
{
        return is_kept(store, id, NEXT_ANCHOR, cert) || is_kept(store, id, FOLLOWED_ANCHOR, cert);
}

void trust_change_done(struct trust_change *change)
{
        X509_free(change->from);
        X509_free(change->to);
        *change = (struct trust_change){0};
}

static bool leads_to(X509 *cert, STACK_OF(X509) * chain, X509 *anchor)
{
        CLEANUP(x509_stack_free_p) STACK_OF(X509) *path = path_to(cert, chain, anchor);

        return path != NULL;
}

/* What the installed certificate leads to. *ret NULL: none of them. */
static enum err find_anchor(struct store *store, const char *id, const STACK_OF(X509) * anchors, X509 **ret,
                            struct error *e)
{
        static const char *const names[] = {"anchor.pem", FOLLOWED_ANCHOR, NEXT_ANCHOR};
        CLEANUP(x509_stack_free_p) STACK_OF(X509) *chain = sk_X509_new_null(), *all = sk_X509_new_null();
        CLEANUP(x509_free_p) X509 *cert = NULL;
        enum err r = chain && all
                             ? store_pem_read(store, STORE_CERTIFICATES, id, "current/cert.pem", &cert, e)
                             : error_no_memory(e);

        for (size_t i = 0; !r && i < N_ELEMENTS(names); i++)
                r = add(store, id, names[i], all, e);
        if (r)
                return r;
        path_read_chain(store, id, chain);
        for (int i = 0; i < sk_X509_num(anchors); i++) {
                X509 *anchor = sk_X509_value(anchors, i);

                if (!X509_up_ref(anchor))
                        return error_no_memory(e);
                if (!sk_X509_push(all, anchor)) {
                        X509_free(anchor);
                        return error_no_memory(e);
                }
        }
        for (int i = 0; i < sk_X509_num(all); i++)
                if (leads_to(cert, chain, sk_X509_value(all, i))) {
                        *ret = sk_X509_delete(all, i);
                        return ERR_OK;
                }
        return ERR_OK;
}

/* The next one is in force: it is kept under the other name, so that there is room for the one after it. In
 * this order both names hold it for a moment, and never none. */
static enum err promote(struct store *store, const char *id, X509 *anchor, struct error *e)
{
        enum err r = ERR_OK;

        if (!is_kept(store, id, NEXT_ANCHOR, anchor))
                return ERR_OK;
        if (!is_kept(store, id, FOLLOWED_ANCHOR, anchor))
                r = store_pem_write(store, STORE_CERTIFICATES, id, FOLLOWED_ANCHOR, anchor, e);
        return r ? r : store_file_remove(store, STORE_CERTIFICATES, id, NEXT_ANCHOR, e);
}

enum err trust_settle(struct store *store, const char *id, X509 *anchor, const STACK_OF(X509) * anchors,
                      struct trust_change *ret, struct error *e)
{
        CLEANUP(x509_free_p) X509 *found = NULL;
        CLEANUP(trust_change_done) struct trust_change change = {0};
        enum err r = ERR_OK;

        if (!anchor) {
                r = find_anchor(store, id, anchors, &found, e);
                if (r || !found)
                        return r;
                anchor = found;
        }
        if (store_pem_read(store, STORE_CERTIFICATES, id, "anchor.pem", &change.from, NULL) ||
            X509_cmp(change.from, anchor) != 0)
                r = store_pem_write(store, STORE_CERTIFICATES, id, "anchor.pem", anchor, e);
        if (!r)
                r = promote(store, id, anchor, e);
        if (r)
                return r;
        if (!change.from || X509_cmp(change.from, anchor) == 0 || !X509_up_ref(anchor))
                return ERR_OK;
        change.to = anchor;
        *ret = change;
        change = (struct trust_change){0};
        return ERR_OK;
}

static bool same(const struct bytes *a, const struct bytes *b)
{
        return a->len == b->len && (!a->len || memcmp(a->data, b->data, a->len) == 0);
}

/* With a thumbprint, the root itself may not be here. */
static bool same_pin(const struct plan *a, const struct plan *b)
{
        return same(&a->thumbprint, &b->thumbprint) &&
               (same(&a->anchor, &b->anchor) || (a->thumbprint.len && (!a->anchor.len || !b->anchor.len)));
}

enum err trust_rebind(struct store *store, const char *id, const struct settings *old, const struct plan *now,
                      struct error *e)
{
        struct plan before = {0};
        bool kept = false;
        enum err r;

        if (plan_from_pairs(old, &before, NULL) == ERR_OK) {
                kept = now->follow_rollover && same_pin(&before, now);
                plan_done(&before);
        }
        if (kept)
                return ERR_OK;
        r = store_file_remove(store, STORE_CERTIFICATES, id, NEXT_ANCHOR, e);
        return r ? r : store_file_remove(store, STORE_CERTIFICATES, id, FOLLOWED_ANCHOR, e);
}
