/* URLs of servers, of profiles and of redirects: what is taken can be asked, with every suffix. A second one
 * behind a newline, or a message. */
#include <stdlib.h>
#include <string.h>

#include "base/parse.h"
#include "fuzz.h"
#include "http/address.h"
#include "policy/values.h"
#include "scep-http/url.h"

static void make(const char *url, const char *message)
{
        for (int with = 0; with < 2; with++) {
                CLEANUP(free_p) char *made = NULL;
                CLEANUP(free_p) char *base = NULL;
                CLEANUP(free_p) char *again = NULL;
                struct error e = {0};
                enum err r = http_url_make(url, with, "GetCACert", message, &made, &e);

                fuzz_whole(r, &e);
                fuzz_promise(r || strstr(made, "operation=GetCACert"), "it asks for the operation");
                e = (struct error){0};
                r = http_url_base(url, with, &base, &e);
                fuzz_whole(r, &e);
                if (r || http_url_check(base, NULL))
                        continue;
                fuzz_promise(http_url_same_server(url, base), "the base is on the same server");
                fuzz_promise(http_url_base(base, with, &again, &e) == ERR_OK && strcmp(base, again) == 0,
                             "the base of the base is itself");
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        CLEANUP(free_p) char *url = fuzz_text(data, size);
        CLEANUP(free_p) char *host = NULL;
        char *other = strchr(url, '\n');
        struct error e = {0};
        enum err r;

        if (other)
                *other++ = 0;
        (void)url_wrong(url);
        (void)proxy_wrong(url);
        (void)host_is_local(url);
        (void)http_url_same_server(url, other ? other : "");
        r = http_url_check(url, &e);
        fuzz_whole(r, &e);
        if (r)
                return 0;
        fuzz_promise(http_url_same_server(url, url), "a server is the same as itself");
        r = http_url_host(url, &host, &e);
        fuzz_whole(r, &e);
        fuzz_promise(r == ERR_OK && *host, "what is taken has a host");
        (void)host_is_local(host);
        make(url, other);
        return 0;
}
