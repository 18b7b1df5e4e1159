#include "access.h"

static bool by_peer(const struct key_peer *peer, const struct key_owner *owner)
{
        if (peer->root)
                return true;
        if (owner->uid != (uid_t)-1)
                return owner->uid == peer->uid;
        for (unsigned i = 0; i < owner->n_groups; i++) {
                if (owner->groups[i] == peer->gid)
                        return true;
                for (unsigned j = 0; j < peer->n_groups; j++)
                        if (owner->groups[i] == peer->groups[j])
                                return true;
        }
        return false;
}

static bool granted(const struct key_grant *grant, enum frame_type operation)
{
        switch (operation) {
        case FRAME_DECRYPT:
                return grant->key && !grant->derives;
        case FRAME_DERIVE:
                return grant->key && grant->derives;
        case FRAME_UNWRAP:
                return grant->password.len > 0;
        default:
                return false;
        }
}

static enum err by_grant(struct key_grant *grant, enum frame_type operation, struct error *e)
{
        if (operation == FRAME_TLS_SIGN && grant->tls) {
                if (grant->tls_uses == 0) {
                        (void)error_set(e, ERR_KEY_DENIED,
                                        "The worker has used its %d TLS signatures already",
                                        GRANT_TLS_SIGNATURES);
                        return error_remedy(e, ERR_KEY_DENIED,
                                            "Let the server keep its connections open (keep-alive), or name "
                                            "fewer servers in Url=.");
                }
                grant->tls_uses--;
                return ERR_OK;
        }
        if (!granted(grant, operation))
                return error_set(e, ERR_KEY_DENIED, "The worker's job grants no such operation");
        if (grant->uses == 0)
                return error_set(e, ERR_KEY_DENIED, "The worker has used its one operation already");
        grant->uses--;
        return ERR_OK;
}

enum err access_decide(const struct key_access *who, const struct key_owner *owner, enum frame_type operation,
                       struct error *e)
{
        if (who->grant)
                return by_grant(who->grant, operation, e);
        if (operation == FRAME_TLS_SIGN)
                return error_set(e, ERR_KEY_DENIED, "Applications sign for TLS as they sign anything else");
        if (operation == FRAME_UNWRAP)
                return error_set(e, ERR_KEY_DENIED, "Applications have no password to unwrap a key with");
        if (owner && by_peer(who->peer, owner))
                return ERR_OK;
        return error_set(e, ERR_NOT_FOUND, "There is no such key for you");
}
