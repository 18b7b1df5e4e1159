/* The names of a plan: read back for people, and beside those of another plan. */
#include "base/ossl.h"
#include "base/parse.h"
#include "policy/general-name.h"
#include "policy/plan.h"

enum { NAME_TEXT = 2400 };

static enum err add_subject(const struct plan *plan, struct strings *names, struct error *e)
{
        const unsigned char *der = plan->subject.data;
        CLEANUP(x509_name_free_p) X509_NAME *name = d2i_X509_NAME(NULL, &der, (long)plan->subject.len);
        CLEANUP(free_p) char *text = NULL;
        enum err r = name ? x509_name_text(name, &text, e)
                          : ossl_error(e, ERR_FAILED, "The subject in the plan cannot be read");

        return r || !*text ? r : strings_add(names, text, e);
}

static enum err add_alternative_names(const struct plan *plan, struct strings *names, struct error *e)
{
        const unsigned char *der = plan->san.data;
        CLEANUP(general_names_free_p) GENERAL_NAMES *all = NULL;
        enum err r = ERR_OK;

        if (!plan->san.len)
                return ERR_OK;
        all = d2i_GENERAL_NAMES(NULL, &der, (long)plan->san.len);
        if (!all)
                return ossl_error(e, ERR_FAILED, "The alternative names in the plan cannot be read");
        /* No profile has as many as a list can hold; a state directory may say what it wants. */
        for (int i = 0; !r && i < sk_GENERAL_NAME_num(all) && names->count < STRINGS_MAX; i++) {
                char text[NAME_TEXT];

                general_name_text(sk_GENERAL_NAME_value(all, i), text, sizeof text);
                utf8_scrub(text, sizeof text);
                r = strings_add(names, text, e);
        }
        return r;
}

enum err plan_names(const struct plan *plan, struct strings *ret, struct error *e)
{
        struct strings names = {0};
        enum err r = add_subject(plan, &names, e);

        if (!r)
                r = add_alternative_names(plan, &names, e);
        if (r) {
                strings_done(&names);
                return r;
        }
        *ret = names;
        return ERR_OK;
}

bool plan_names_differ(const struct plan *a, const struct plan *b)
{
        return !view_equal(bytes_view(&a->subject), bytes_view(&b->subject)) ||
               !view_equal(bytes_view(&a->san), bytes_view(&b->san));
}
