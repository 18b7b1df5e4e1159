/*
 * Robustness: thousands of damaged documents, streams and names. Nothing may crash, leak or answer a failure
 * without a sentence. The generator is fixed, so a failure comes back.
 */
#include "test.h"

#include <fcntl.h>
#include <stdio.h>

#include "base/file.h"
#include "documents/document.h"
#include "policy/name.h"
#include "policy/profile.h"

struct random {
        uint64_t state;
};

static uint32_t next(struct random *r) /* xorshift64* */
{
        r->state ^= r->state >> 12;
        r->state ^= r->state << 25;
        r->state ^= r->state >> 27;
        return (uint32_t)((r->state * UINT64_C(2685821657736338717)) >> 32);
}

/* One to four changes: an octet, a piece cut out, a piece doubled, a token put in. *buffer has room for size
 * + 256. */
static size_t mutate(struct random *r, uint8_t *buffer, size_t len)
{
        static const char *const tokens[] = {"<",
                                             ">",
                                             "&",
                                             "&amp;",
                                             "&lt;",
                                             "\"",
                                             "=",
                                             "\n[",
                                             "]]>",
                                             "<!--",
                                             "<![CDATA[",
                                             "<!DOCTYPE a [",
                                             "&#0;",
                                             "&#x10FFFF;",
                                             "\xff",
                                             "{{",
                                             "}}",
                                             "+",
                                             ",",
                                             "#",
                                             "%2F",
                                             "<?x",
                                             "/>",
                                             "xmlns=\"\"",
                                             "99999999999999999999",
                                             "-1"};
        unsigned changes = 1 + next(r) % 4;

        for (unsigned i = 0; i < changes && len > 2; i++) {
                size_t at = next(r) % len, n = 1 + next(r) % 32;
                const char *token = tokens[next(r) % N_ELEMENTS(tokens)];

                if (n > len - at)
                        n = len - at;
                switch (next(r) % 4) {
                case 0:
                        buffer[at] = (uint8_t)next(r);
                        break;
                case 1:
                        memmove(buffer + at, buffer + at + n, len - at - n);
                        len -= n;
                        break;
                case 2:
                        memmove(buffer + at + n, buffer + at, len - at);
                        len += n;
                        break;
                case 3:
                        n = strlen(token);
                        memmove(buffer + at + n, buffer + at, len - at);
                        memcpy(buffer + at, token, n);
                        len += n;
                        break;
                }
        }
        return len;
}

static struct bytes load(const char *name)
{
        struct error e = {0};
        struct bytes b = {0};
        char path[512];

        snprintf(path, sizeof path, "%s/policy/%s", TEST_DATA, name);
        expect_ok(file_read(AT_FDCWD, path, 1 << 20, &b, &e));
        return b;
}

static void whole(enum err r, const struct error *e)
{
        if (r)
                assert_true(e->code == r && e->message[0] && e->remedy[0]);
}

/* What parsed is used: on the wire and back, and as a profile. */
static void use(struct commands *c)
{
        struct error e = {0};
        struct commands d = {0};
        struct bytes wire = {0};

        expect_ok(commands_encode(c, &wire, &e));
        expect_ok(commands_decode(bytes_view(&wire), &d, &e));
        assert_int_equal(c->count, d.count);
        for (size_t i = 0; i < d.count; i++) {
                struct profile p = {0};

                if (d.items[i].kind == COMMAND_ENROLL)
                        expect_ok(profile_from_settings(&d.items[i].settings, true, &p, &e));
                profile_done(&p);
        }
        bytes_done(&wire);
        commands_done(&d);
        commands_done(c);
}

static void documents(void **state)
{
        static const char *const seeds[] = {"intune.syncml", "full.profile", "small.profile",
                                            "intune.syncml"};
        struct random random = {0x5ce97e5};

        (void)state;
        for (size_t s = 0; s < N_ELEMENTS(seeds); s++) {
                struct bytes seed = load(seeds[s]);

                for (int i = 0; i < 2000; i++) {
                        uint8_t *copy = malloc(seed.len + 256);
                        struct error e = {0};
                        struct commands c = {0};
                        enum err r;
                        size_t len;

                        memcpy(copy, seed.data, seed.len);
                        len = mutate(&random, copy, seed.len);
                        copy = realloc(copy, len ? len : 1); /* so that reading one octet too many shows */
                        r = document_read(DOCUMENT_AUTO, (struct view){copy, len}, &c, &e);
                        whole(r, &e);
                        if (r == ERR_OK)
                                use(&c);
                        free(copy);
                }
                bytes_done(&seed);
        }
}

static void streams(void **state)
{
        struct random random = {0xfeed};
        struct bytes seed = load("intune.syncml"), wire = {0};
        struct error e = {0};
        struct commands c = {0};

        (void)state;
        expect_ok(document_read(DOCUMENT_AUTO, bytes_view(&seed), &c, &e));
        expect_ok(commands_encode(&c, &wire, &e));
        commands_done(&c);
        for (int i = 0; i < 8000; i++) {
                uint8_t *copy = malloc(wire.len + 256);
                size_t len;
                enum err r;

                memcpy(copy, wire.data, wire.len);
                len = mutate(&random, copy, wire.len);
                copy = realloc(copy, len ? len : 1);
                r = commands_decode((struct view){copy, len}, &c, &e);
                whole(r, &e);
                commands_done(&c);
                free(copy);
        }
        bytes_done(&seed);
        bytes_done(&wire);
}

static void names(void **state)
{
        static const char seed[] = "CN=\"Doe, \"\"J\"\"\" + OU=b; O = {{DeviceName}}x,2.5.4.5=#01 "
                                   "02,E=a@b,C=US,DC=local,OID.1.2.3=y";
        struct random random = {42};

        (void)state;
        for (int i = 0; i < 8000; i++) {
                char copy[sizeof seed + 256];
                struct error e = {0};
                struct name name = {0};
                struct bytes der = {0};
                size_t len;
                enum err r;

                memcpy(copy, seed, sizeof seed);
                len = mutate(&random, (uint8_t *)copy, sizeof seed - 1);
                copy[len] = 0;
                r = name_parse(copy, &name, &e);
                whole(r, &e);
                if (r == ERR_OK) {
                        r = name_der(&name, &der, &e);
                        whole(r, &e);
                }
                bytes_done(&der);
                name_done(&name);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(documents),
                cmocka_unit_test(streams),
                cmocka_unit_test(names),
        };

        return cmocka_run_group_tests_name("mutations", tests, NULL, NULL);
}
